# What contributors run is what CI runs. Every command works in .venv, which is made on the way.
VENV ?= $(CURDIR)/.venv
BIN = $(VENV)/bin
PYTHON ?= python3
export PYTHON
CARGO_TARGET_DIR ?= $(CURDIR)/target
export CARGO_TARGET_DIR
PACKAGES = nftables iproute2 conntrack redis-server busybox-static bind9-dnsutils dnsmasq-base \
	musl-tools curl tcpdump iputils-ping netcat-openbsd procps python3-venv \
	qemu-system-x86 $(KERNEL) kmod zstd valgrind systemd g++
# The kernel of the emulated machine, by its name on Debian and on Ubuntu.
OS_RELEASE ?= /etc/os-release
KERNEL = $(shell . $(OS_RELEASE); case " $$ID $$ID_LIKE " in \
	(*" ubuntu "*) echo linux-image-generic ;; (*) echo linux-image-amd64 ;; esac)
WORKERS ?= 4

# One after the other, as the lists of prerequisites have them; cargo and pytest have workers of their own.
.NOTPARALLEL:
.PHONY: demo test ready-for-demo ready-for-test packages venv pins core build check test-rust test-asan test-miri test-unit test-lab test-vm test-lab-in-vm crashes races words crowd test-all soak fuzz counts record-counts docs wheel bench bench-peers clean

## Environment, build and the demonstration, which makes a machine of its own and touches nothing of this one.
demo: ready-for-demo core
	$(if $(filter-out 0,$(shell id -u)),sudo) $(BIN)/netyard demo

## Everything: packages of Debian or Ubuntu, environment, build, lint, types, docs, tests, and what hot paths take.
test: ready-for-test packages build check docs test-rust test-asan test-miri test-unit fuzz counts test-lab soak test-vm

## What neither makes by itself, Rust above all, is said before anything is done.
ready-for-demo ready-for-test: ready-for-%:
	@packaging/preflight.sh $*

packages:
	apt-get update -qq
	DEBIAN_FRONTEND=noninteractive apt-get -o DPkg::Lock::Timeout=300 install -y -qq --no-install-recommends $(PACKAGES) >/dev/null
	tests/install_services.sh

# What builds netyard comes first, what checks and tests it only where that is asked for.
NO_DOWNLOAD = { echo "The first build downloads Python packages and crates, which failed: it needs a way to their registries, or their proxy in HTTPS_PROXY" >&2; exit 1; }

$(BIN)/maturin: pyproject.toml tests/constraints.txt
	@echo "Making a Python environment in $(VENV), with maturin, which builds"
	@$(PYTHON) -m venv $(VENV)
	@$(BIN)/pip install -q --retries 1 'pip>=25.1' || $(NO_DOWNLOAD)
	@$(BIN)/pip install -q --retries 1 -c tests/constraints.txt --group build click || $(NO_DOWNLOAD)
	@touch $@

venv: $(BIN)/pytest

$(BIN)/pytest: $(BIN)/maturin
	$(BIN)/pip install -q -c tests/constraints.txt --group dev --group docs
	touch $@

## The newest of everything, noted for all who run the tests.
pins: venv
	$(BIN)/pip install -q --upgrade --upgrade-strategy eager --group dev --group docs --group bench
	$(BIN)/pip freeze --exclude netyard >tests/constraints.txt

# Without a group named maturin would install all of `dev`. Its standard output tells what was there already.
core: $(BIN)/maturin
ifeq ($(wildcard python/netyard/_core.abi3.so),)
	@echo "Downloading crates"
	@cargo fetch --locked || $(NO_DOWNLOAD)
	@echo "Building: one to four minutes on two cores the first time, seconds from then on"
endif
	@VIRTUAL_ENV=$(VENV) $(BIN)/maturin develop --group build >/dev/null

build: venv core

check: build
	cargo fmt --all --check
	cargo clippy -q --workspace --all-targets -- -D warnings
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/python -m mypy.stubtest netyard._core
	$(BIN)/python docs/generator --check

test-rust:
	cargo test -q --workspace --exclude netyard-core

## The same with AddressSanitizer, which only differs from a nightly compiler by name.
test-asan:
	RUSTC_BOOTSTRAP=1 RUSTFLAGS=-Zsanitizer=address CARGO_TARGET_DIR=$(CARGO_TARGET_DIR)/asan \
		cargo test -q --workspace --exclude netyard-core --target $$(rustc -vV | sed -n 's/^host: //p')

## What of it can do without system calls, under Miri, which only comes with a nightly compiler.
test-miri:
	@timeout 300 rustup component add --toolchain nightly miri rust-src >/dev/null 2>&1 </dev/null \
		|| { echo "no Miri is to be had here: left out"; exit 0; }; \
		MIRIFLAGS=-Zmiri-disable-isolation CARGO_TARGET_DIR=$(CARGO_TARGET_DIR)/miri \
		cargo +nightly miri test -q --lib -p netyard-dns -p netyard-netlink

test-unit: build
	$(BIN)/pytest -q tests/unit

## Needs root: makes namespaces, and nothing else on this machine.
test-lab: build
	$(BIN)/pytest -q -n $(WORKERS) tests/lab_hosts

## Every point at which a command can be killed or refused, not a share of them: an hour.
crashes: build
	CRASH_SHARE=1 $(BIN)/pytest -q -n $(WORKERS) tests/lab_hosts/test_crashes.py
	VENV=$(VENV) VMLAB_SECONDS=7200 tests/vmlab sh -c 'CRASH_SHARE=8 $(IN_VM) --timeout 3000 -n 2 $(VM_CRASHES)'

## Churn, traffic and names for a while: what piles up is seen. Plot: python benches/plot.py soak
MINUTES ?= 3
soak: build
	SOAK_MINUTES=$(MINUTES) $(BIN)/pytest -q -s tests/soak

## Parsers of others' bytes, with inputs that libFuzzer thinks of.
FUZZ_SECONDS ?= 10
fuzz:
	CARGO_TARGET_DIR=$(CARGO_TARGET_DIR)/fuzz tests/fuzz.sh $(FUZZ_SECONDS)

## Many commands at once, for longer.
races: build
	RACE_SECONDS=60 $(BIN)/pytest -q -s tests/lab_hosts/test_races.py

## Three thousand containers, more than an agent with a limit of 4,048 descriptors has room for.
crowd: build
	CROWD=3000 $(BIN)/pytest -q --timeout 3600 tests/lab_hosts/test_agent_limits.py -k crowd

## Any command lines, templates and files, of which other tests have a share: half an hour.
WORDS ?= 20000
words: build
	WORDS_EXAMPLES=$(WORDS) $(BIN)/pytest -q --timeout 7200 tests/unit/test_any_words.py
	WORDS_EXAMPLES=$(WORDS) $(BIN)/pytest -q --timeout 7200 tests/lab_hosts/test_any_words.py

## All of `test`, and all of what it has a share of: hours, so by hand.
test-all: MINUTES = 30
test-all: test crashes races words crowd

## What this kernel may lack, on the distribution's own, emulated: ipvlan, dummy, 802.1Q, and a clock to set.
IN_VM = $(BIN)/pytest -q -p no:cacheprovider
# One has the machine's clock, one its control groups, one firewalld, which takes minutes there: by themselves.
ALONE = tests/vm/test_encrypted.py::test_firewalls_of_the_hosts
# A point or two of a third of these; `make crashes` has more.
VM_CRASHES = tests/vm/test_crashes_on_parents.py
test-vm: build
	VENV=$(VENV) VMLAB_SECONDS=2700 tests/vmlab sh -c '$(IN_VM) --timeout 300 -n 2 --ignore tests/vm/test_clock.py --ignore tests/vm/test_limits.py --ignore $(VM_CRASHES) --deselect $(ALONE) tests/vm \
		&& CRASH_SHARE=64 $(IN_VM) --timeout 600 -n 2 -k "create or run" $(VM_CRASHES) \
		&& $(IN_VM) --timeout 900 tests/vm/test_clock.py tests/vm/test_limits.py $(ALONE)'

## The tests of lab hosts on that kernel: hours, so by hand, and by file (WHAT=tests/lab_hosts/test_x.py).
WHAT ?= tests/lab_hosts
test-lab-in-vm: build
	VENV=$(VENV) VMLAB_SECONDS=14000 tests/vmlab $(BIN)/pytest -q -p no:cacheprovider -n 2 --timeout 900 $(WHAT)

## Instructions of the hot paths, by callgrind, beside those recorded: needs root, and namespaces only.
counts: build
	$(BIN)/python benches/count.py

record-counts: build
	$(BIN)/python benches/count.py --record

## docs/reference from docstrings and help, then all pages as a site in site/html. Warnings are errors,
## which they are not with `--quiet`. Pages are linked into site/source at their paths here.
docs: build
	$(BIN)/python docs/generator
	rm -rf site
	mkdir -p site/source
	ln -s $(CURDIR)/*.md $(CURDIR)/LICENSE $(CURDIR)/docs $(CURDIR)/examples site/source/
	$(BIN)/properdocs build --strict -f docs/site.yml

wheel: venv
	$(BIN)/maturin build --release --out dist

bench: venv
	$(BIN)/pip install -q -c tests/constraints.txt --group bench
	VIRTUAL_ENV=$(VENV) $(BIN)/maturin develop -q --release
	$(BIN)/python benches/compare.py
	$(BIN)/python benches/plot.py
	unshare -n -m -p -f --mount-proc --kill-child --propagation private \
		sh -c 'mount -t tmpfs tmpfs /run && exec $(BIN)/pytest -q benches'
	cargo bench -q -p netyard-dns

## The newest netavark and aardvark-dns, beside Debian's in `make bench`; needs protobuf-compiler.
bench-peers:
	cargo install -q --root $(CARGO_TARGET_DIR)/peers netavark@2.1.0 aardvark-dns@2.1.0

clean:
	rm -rf target dist site .venv python/netyard/_core.abi3.so
