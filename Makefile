.PHONY: demo test fast lint

demo:
	bash launch/demo.sh

test:
	bash tests/run.sh

fast:
	bash tests/run.sh --fast

lint:
	bash launch/setup.sh tests
	.venv/bin/ruff check
	.venv/bin/mypy
