# The commands a person needs; each installs what is missing (Debian packages when run as root) and then does its work.
.PHONY: demo test bench check-cost build release

# How the program is built to be used: the reasons are in docs/decisions/0012-release-flags.md.
RELEASE = -c release --static-swift-stdlib -Xswiftc -enforce-exclusivity=unchecked -Xswiftc -cross-module-optimization \
    -Xswiftc -use-ld=lld -Xlinker --no-export-dynamic

# Words for the demo: make demo ARGS="--dataset flights --shards 8"
ARGS ?=

demo:
	@scripts/install-packages demo
	swift build $(RELEASE) --product pgmosaic
	@exec "$$(swift build -c release --show-bin-path)/pgmosaic" demo $(ARGS)

test:
	@scripts/install-packages build
	@scripts/run-tests

bench:
	@scripts/install-packages test
	swift build $(RELEASE) --product pgmosaic
	swift build $(RELEASE) --product RingBenchmark
	swift build $(RELEASE) --product CatalogFiller
	swift build $(RELEASE) --product TransferBenchmark
	@exec Benchmarks/run $(ARGS)

# Instructions and allocations of a query on a release build; fails beyond Benchmarks/thresholds.json.
check-cost:
	@scripts/install-packages cost
	swift build $(RELEASE) --product pgmosaic
	@exec Benchmarks/run --check instructions

release:
	@scripts/install-packages build
	swift build $(RELEASE) --product pgmosaic

build:
	@scripts/install-packages build
	swift build
