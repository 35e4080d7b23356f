# make notebooks   run every notebook on the default corpus (or KWS_CORPUS=..., KWS_KEYWORD=...); results below build/
# make test        run the tests
# make lint        check style
# Each builds the environment .venv from requirements.txt first, when that has changed.

PYTHON ?= python3
BIN := .venv/bin
NOTEBOOKS := train_base_model.ipynb experiments.ipynb streaming.ipynb
CONVERT = $(BIN)/jupyter nbconvert --to notebook
EXECUTE = $(CONVERT) --execute --ExecutePreprocessor.timeout=-1
# A second pass joins the pieces of each progress bar.
TIDY = $(CONVERT) --inplace --CoalesceStreamsPreprocessor.enabled=True

.PHONY: notebooks publish test lint clean

.venv/ready: requirements.txt
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --disable-pip-version-check -r requirements.txt
	touch $@

notebooks: .venv/ready
	$(EXECUTE) --output-dir build $(NOTEBOOKS)
	$(TIDY) $(addprefix build/,$(NOTEBOOKS))

# The committed notebooks: run in place, on the corpus that KWS_CORPUS and KWS_KEYWORD name.
publish: .venv/ready
	KWS_PUBLISH=1 KWS_SEEDS=$${KWS_SEEDS:-3} KWS_EPOCHS=$${KWS_EPOCHS:-50} $(EXECUTE) --inplace $(NOTEBOOKS)
	$(TIDY) $(NOTEBOOKS)

test: .venv/ready
	$(BIN)/python -m pytest

lint: .venv/ready
	$(BIN)/ruff check kws tests
	$(BIN)/ruff format --check kws tests

clean:
	rm -rf build .cache .pytest_cache .ruff_cache
