# A short front for Meson. `make help` lists what there is; HACKING.md says more.
BUILD := build
ARGS :=
FILES :=
WEB := yes
SEEDS := 2000
RUNS := 200
STATES := 12000000
JOBS := 2
TIME := 60
CLIENT :=
PARTS :=
BINDING := native
WERROR := $(if $(filter true,$(CI)),true,false)
SETUP := meson setup --buildtype=debugoptimized -Dwerror=$(WERROR)

help: ## list the targets
	@sed -n 's/^\([a-z-]*\):.*## /\1	/p' $(MAKEFILE_LIST) | expand -t 17

run: deps $(BUILD)/build.ninja ## build, start the broker (ARGS="--fake-gpu a:24000"), then lay the pages' libraries (WEB=no: not)
	@ninja -C $(BUILD) baton
	@WEB=$(WEB) exec tools/dev/run.sh $(BUILD) $(ARGS)

pages: ## lay the pages' libraries and demo models beside the broker
	@tools/dev/pages.sh $(BUILD)

build: $(BUILD)/build.ninja ## build/baton, optimised, with debug symbols; installs nothing
	@ninja -C $(BUILD)

test: ## lints, types, unit tests, simulator, browser tests; then under ASan and UBSan, with integration
	@tools/dev/deps.sh test
	@WERROR=$(WERROR) tools/dev/test.sh

check: build ## the inner loop: lints, unit tests, fuzz corpora, 200 seeds of the simulator
	@meson test -C $(BUILD) --no-rebuild --quiet --print-errorlogs --suite lint --suite unit --suite client --suite fuzz
	@$(BUILD)/tests/sim/sim --seeds 200

sim: build ## the simulator over SEEDS=N seeds of one simulated hour each
	@$(BUILD)/tests/sim/sim --seeds $(SEEDS)
	@$(BUILD)/tests/sim/sim --seeds 60 --twin 2

exhaust: build ## every order of events in small worlds, STATES=N states in all
	@$(BUILD)/tests/exhaust/exhaust --states $(STATES) --jobs $(JOBS)

mutants: build ## every planted bug of policy and simulator must be seen by a test
	@tests/mutants/hunt.py . $(BUILD) --jobs $(JOBS)
	@tests/sim/mutants.py .

overlap: build ## RUNS=N jobs stopped in each situation: none may outlive its lease
	@cd tests/integration && BATON_BIN=$(abspath $(BUILD))/baton python3 -m lib.overlap $(RUNS)

cancel-matrix: build ## what happens when a client leaves or a model server dies: every case, beside nginx
	@tools/dev/deps.sh nginx
	@python3 tests/cancel-matrix/beside.py $(BUILD)

conformance: build ## the clients against a scripted broker (CLIENT="CMD" BINDING=tab: one of yours)
	@tools/check/conformance.py --build $(BUILD) $(if $(CLIENT),--client '$(CLIENT)' --binding $(BINDING))

fuzz: ## every fuzz target for TIME=seconds, built with clang's libFuzzer
	@tools/dev/deps.sh fuzz
	@tools/dev/fuzz.sh $(TIME)

web: build ## the browser tests alone, or those of FILES="..."
	@tools/dev/deps.sh test
	@tools/dev/pages.sh $(BUILD)
	@BATON_BIN=$(BUILD)/baton node tests/web/run.mjs $(FILES)

bundles: build ## RUNS=N times each bundled page whose thread stands still: nobody computes beside it
	@tools/dev/deps.sh test
	@BATON_BIN=$(BUILD)/baton BUNDLES_RUNS=$(RUNS) node --test tests/web/lifecycle/bundles.test.mjs

bundles-firefox: build ## the same in Firefox, each page in a process of its own; runs follow each other
	@tools/dev/deps.sh test
	@BATON_BIN=$(BUILD)/baton BUNDLES_BROWSER=firefox BUNDLES_RUNS=$(RUNS) node --test tests/web/lifecycle/bundles.test.mjs

follow-docs: build ## the SDK's README, docs/browser.md, python.md, native.md and observe.md followed literally
	@tools/dev/deps.sh test
	@BATON_BIN=$(BUILD)/baton FOLLOW_ALL=1 node --test tests/web/sdk/follow_docs.test.mjs
	@BATON_BIN=$(abspath $(BUILD))/baton python3 tests/python/follow_docs.py build-venv
	@meson test -C $(BUILD) --no-rebuild --print-errorlogs integration-guides

bench: build ## Baton beside a floor server and Redis, as ratios; instructions per lock cycle
	@tools/dev/deps.sh bench
	@ninja -C $(BUILD) bench/floor bench/load bench/core_cost bench/probe_round bench/model_server bench/requests
	@bench/bench.py $(BUILD)
	@bench/gateway.py $(BUILD)
	@bench/instructions.py $(BUILD)
	@bench/switches.py $(BUILD)

real-model: build ## two models of real llama.cpp behind the gateway, on the processor
	@tools/dev/deps.sh test
	@BATON_BIN=$(abspath $(BUILD))/baton python3 tests/gateway/real_model.py node

interop: build ## real programs of others through the gateway, which it installs (2.5 GB): PARTS="codex minilm"
	@tools/dev/deps.sh test
	@tests/interop/run.py $(BUILD) $(PARTS)

bench-rivals: build ## the gateway beside nginx, Portkey and LiteLLM, which it installs (750 MB)
	@tools/dev/deps.sh rivals
	@ninja -C $(BUILD) bench/model_server bench/requests
	@bench/gateway.py $(BUILD)

lint: build ## layers, purity, tidiness, format, headers
	@tools/dev/deps.sh lint
	@meson test -C $(BUILD) --suite lint --print-errorlogs

install: build ## meson install (DESTDIR is respected)
	@meson install -C $(BUILD)

clean: ## remove every build folder that this file makes
	rm -rf $(BUILD) build-asan build-fuzz build-venv build-interop

deps: ## what building and running need, by name from Debian
	@tools/dev/deps.sh

$(BUILD)/build.ninja:
	@$(SETUP) $(BUILD)

.PHONY: help run pages build test sim exhaust mutants cancel-matrix conformance overlap fuzz web bundles bundles-firefox follow-docs bench bench-rivals real-model interop lint install clean deps
.DEFAULT_GOAL := help
