# The commands a person needs; each installs what is missing (Debian packages when run as root) and then does its work.
.PHONY: demo test bench build

# Words for the demo: make demo ARGS="--dataset flights --shards 8"
ARGS ?=

demo:
	@scripts/install-packages demo
	swift build -c release --product pgmosaic
	@exec "$$(swift build -c release --show-bin-path)/pgmosaic" demo $(ARGS)

test:
	@scripts/install-packages test
	@scripts/run-tests

bench:
	@scripts/install-packages test
	swift build -c release --product pgmosaic
	swift build -c release --product RingBenchmark
	swift build -c release --product CatalogFiller
	@exec Benchmarks/run $(ARGS)

build:
	@scripts/install-packages build
	swift build
