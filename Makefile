# The commands; what they do is in scripts/. PG_CONFIG=... names a PostgreSQL of your own.
PYTHON ?= python3
export PYTHONDONTWRITEBYTECODE = 1

.PHONY: demo check test test-servers install bench lint clean

demo:     ## see it work on real texts, beside pgvector, in a private server
	$(PYTHON) -m scripts.demo

check:    ## the most that five minutes tell: the core, the SQL tests, some generated queries
	$(PYTHON) -m scripts.test check

test:     ## every test
	$(PYTHON) -m scripts.test

test-servers: ## the SQL tests on every major version, and pg_upgrade between them
	$(PYTHON) -m scripts.test servers

install:  ## build for PG_CONFIG's server and install there
	$(PYTHON) -m scripts.extension install

bench:    ## figures: kernels, graph, and SQL beside pgvector
	$(PYTHON) -m scripts.bench

lint:     ## format and lints, warnings as errors
	$(PYTHON) -m scripts.lint

clean:    ## forget what this checkout built; downloaded and compiled servers stay cached
	cargo clean
