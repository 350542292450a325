# make run: everything on this machine, http://127.0.0.1:8000 (or PORT).   make test: every check and test.
BIN := .venv/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check --quiet
PYTHONS := python3.14 python3.13 python3.12 python3.11 python3
# The first of them that is new enough and can make environments.
PYTHON = $(firstword $(foreach name,$(PYTHONS),$(shell \
	$(name) -c 'import sys, venv, ensurepip; sys.version_info >= (3, 11) and print("$(name)")' 2>/dev/null)))
COMPILE := $(BIN)/uv pip compile --quiet --no-header --universal --python-version 3.11 --generate-hashes --no-emit-index-url
# Linters and tests know nothing of a developer's .env.
CLEAN_ENV := ENV_FILE=/dev/null SECRET_KEY=for-linters-only SANDBOX=1
MESSAGES := --locale pt_BR --ignore '.venv*'
FIND_CHROMIUM := { command -v chromium || command -v google-chrome; } >/dev/null

.PHONY: run setup test proof lint browser lock messages clean
.DEFAULT_GOAL := run

run: .venv/installed
	@exec $(BIN)/python -m project.dev

setup: .venv/installed-dev

test: lint browser
	$(BIN)/pytest -n 2 --cov --cov-report=
	TEST_DATABASE=postgresql $(BIN)/pytest -n 2 --cov --cov-append --cov-report=term:skip-covered tests/queueing tests/conversations

# Kills processes at every point where they change anything, on every backend; minutes for each.
proof: setup
	$(BIN)/python -m tests.proof

lint: setup
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(CLEAN_ENV) $(BIN)/mypy
	$(BIN)/lint-imports
	$(CLEAN_ENV) $(BIN)/python manage.py makemigrations --check --dry-run

# The browser tests use the Chromium that is there; without one they are skipped, and say so.
browser:
	@$(FIND_CHROMIUM) || [ "$$(id -u)" != 0 ] || ! command -v apt-get >/dev/null || \
		{ apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -qq -y --no-install-recommends chromium; } || true
	@$(FIND_CHROMIUM) || echo "*** No Chromium here: the browser tests are SKIPPED. ***"

lock: setup
	$(BIN)/python -m pip --quiet install uv
	$(COMPILE) requirements.in -o requirements.txt
	$(COMPILE) requirements-tracing.in -o requirements-tracing.txt
	$(COMPILE) requirements-dev.in -o requirements-dev.txt

# After a text was added or changed: then translate what is empty or fuzzy, and run it again. It needs GNU gettext.
messages: setup
	$(CLEAN_ENV) $(BIN)/python manage.py makemessages $(MESSAGES) --no-obsolete --add-location file \
		--ignore tests --ignore bench
	@sed -i.old '/^"POT-Creation-Date/d' */locale/*/LC_MESSAGES/*.po && rm */locale/*/LC_MESSAGES/*.old
	$(CLEAN_ENV) $(BIN)/python manage.py compilemessages $(MESSAGES)

clean:
	rm -rf .venv .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis .coverage* htmlcov artifacts

.venv/installed: requirements.txt
	@if [ -z "$(PYTHON)" ]; then \
		python3 -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null \
			&& echo "Python cannot make virtual environments here. On Debian or Ubuntu: apt-get install python3-venv" >&2 \
			|| echo "Python 3.11 or newer is needed, and none was found. On Debian or Ubuntu: apt-get install python3 python3-venv" >&2; \
		exit 1; \
	fi
	@echo "Installing what requirements.txt pins …"
	@$(BIN)/python -c "" 2>/dev/null || { rm -rf .venv && $(PYTHON) -m venv .venv; }
	@$(PIP) install --require-hashes -r requirements.txt
	@touch $@

.venv/installed-dev: requirements-dev.txt .venv/installed
	@$(PIP) install --require-hashes -r requirements-dev.txt
	@touch $@
