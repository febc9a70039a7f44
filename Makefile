# make help tells what there is to make.

SHELL = /bin/sh
GO ?= go
SEEDS ?= 10000
FIRST ?= 1
PLATFORMS = windows/amd64 darwin/arm64 linux/arm64 linux/386
# The modules of their own that are checked like this one.
MODULES = cmd/tentervet examples/routers examples/telemetry
# Packages with workflow code: not those whose tests break its rules on purpose.
WORKFLOWS = $$($(GO) list ./... | grep -vE '/tenter/(client|engine|scenario|server)$$')
# Programs with the race detector sleep for a second at their end, and tests start a thousand.
RACE = GORACE=atexit_sleep_ms=0
TOOL = $(GO) tool -modfile=tools/go.mod
VALE = $(GO) tool -modfile=tools/vale/go.mod vale --config=tools/vale/vale.ini --output=line

.NOTPARALLEL:
.PHONY: help test simulate planted check fmt tidy vet tentervet fix lint prose arch longest format bench growth years upfront soak fuzz bench-dashboard race screenshots test-postgres failover need-go need-cc need-postgres need-chromium need-nginx need-patroni

help: ## Show the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-16s%s\n", $$1, $$2 }' Makefile

test: need-cc need-postgres need-chromium need-nginx ## Run all tests, with the race detector
	TENTER_REQUIRE_POSTGRES=1 TENTER_REQUIRE_CHROMIUM=1 TENTER_REQUIRE_NGINX=1 $(RACE) $(GO) test -race -timeout 30m ./...
	@echo 'go test, without the race detector: what is shorter with it, or skipped'
	TENTER_REQUIRE_POSTGRES=1 $(GO) test -run 'TestManyBranches|TestStackOfAParkedRun|TestStore/Model' ./engine ./store/sqlite ./store/postgres
	@for module in $(MODULES); do \
		echo "go test, in $$module"; \
		(cd $$module && $(RACE) $(GO) test -race ./...) || exit 1; \
	done
	@echo "test: not on PostgreSQL $$(.ci/postgres others | xargs): see make test-postgres"

test-postgres: need-go ## Run what depends on it on each version of PostgreSQL that make test has not (gets them with npm)
	GO=$(GO) .ci/postgres test
	GO=$(GO) .ci/postgres scenario 18

simulate: need-go ## Simulate failures: SEEDS=10000 seeds from FIRST=1, see docs/reliability.md
	$(GO) test ./engine -count=1 -v -timeout 0 -run 'TestSimulation$$' -simulation.first=$(FIRST) -simulation.seeds=$(SEEDS)
	$(GO) test ./engine -count=1 -v -run 'TestSimulationRepeats$$'

planted: need-go ## Have the simulation find each of the bugs of internal/planted
	$(GO) vet -tags plantedbugs ./engine ./store/sqlite
	$(GO) test ./engine -tags plantedbugs -count=1 -v -timeout 0 -run TestPlantedBugs $(PLANTED)

check: fmt tidy vet tentervet fix lint prose arch test simulate planted ## Run everything that must pass before a commit lands
	@echo 'check: everything passes'

fmt: need-go ## Fail if gofumpt would change a file
	@$(TOOL) gofumpt -d . || { echo 'fmt: some files are not formatted: run make format' >&2; exit 1; }

tidy: need-go ## Fail if go mod tidy would change go.mod
	@for module in . $(MODULES); do \
		(cd $$module && $(GO) mod tidy -diff) || { echo "tidy: $$module/go.mod is not tidy: run go mod tidy there" >&2; exit 1; }; \
	done

vet: need-go ## Run go vet here, and check the types for the other platforms of README.md
	cd tools && $(GO) build -o $(CURDIR)/bin/typecheck ./typecheck
	@for module in . $(MODULES); do \
		echo "go vet, in $$module"; \
		(cd $$module && $(GO) vet ./...) || exit 1; \
		for platform in $(PLATFORMS); do \
			echo "typecheck, in $$module, for $$platform"; \
			(export GOOS=$${platform%/*} GOARCH=$${platform#*/}; cd $$module && $(CURDIR)/bin/typecheck ./...) || exit 1; \
		done; \
	done

tentervet: need-go ## Check the workflow code of examples, docs and tests with cmd/tentervet
	cd cmd/tentervet && $(GO) build -o $(CURDIR)/bin/tentervet .
	$(GO) vet -vettool=$(CURDIR)/bin/tentervet $(WORKFLOWS)
	@for module in $(filter examples/%,$(MODULES)); do \
		echo "tentervet, in $$module"; \
		(cd $$module && $(GO) vet -vettool=$(CURDIR)/bin/tentervet ./...) || exit 1; \
	done

fix: need-go ## Fail if go fix would modernize a file
	@for module in . $(MODULES); do \
		(cd $$module && $(GO) fix -diff ./...) || { echo 'fix: go fix has something to say: run make format' >&2; exit 1; }; \
	done

lint: need-go ## Run the linters of .golangci.yml (building them takes minutes, once)
	$(TOOL) golangci-lint run ./...
	@for module in $(MODULES); do \
		echo "golangci-lint, in $$module"; \
		(cd $$module && $(GO) tool -modfile=$(CURDIR)/tools/go.mod golangci-lint run -c $(CURDIR)/.golangci.yml ./...) || exit 1; \
	done

prose: need-cc ## Check the English of docs, comments and messages, by the rules of tools/vale
	@$(VALE) .

arch: need-go ## Check who imports whom, and that each package is documented
	$(GO) test -run 'TestArchitecture|TestPackageDocs' .

longest: need-go ## Show the longest functions and files
	@$(GO) test -count=1 -run TestLongest -v .

format: need-go ## Let gofumpt and go fix change the files
	@for module in . $(MODULES); do (cd $$module && $(GO) fix ./...) || exit 1; done
	$(TOOL) gofumpt -w .

bench: need-go ## Measure on this machine (bench/ is a module of its own)
	@[ -f bench/go.mod ] || { echo 'bench: there is no bench/go.mod in this tree' >&2; exit 1; }
	cd bench && $(GO) run .

growth: need-go ## Measure how costs grow, up to 1,000,000 runs (about 15 minutes)
	cd bench && $(GO) run . growth

years: need-go ## See what a bot costs that gets 1,000,000 messages (about 35 minutes)
	cd bench && $(GO) run . years

upfront: need-go ## See what a bot costs that gets MESSAGES=1000000, all sent before it gets one
	cd bench && $(GO) run . upfront -messages=$(or $(MESSAGES),1000000)

bench-dashboard: need-go ## Measure the dashboard's pages with 1,000,000 runs (about 5 minutes)
	cd bench && $(GO) run -tags dashboard . dashboard

soak: need-go ## See whether anything grows: FOR=30m of mixed load on each store
	cd bench && $(GO) run . soak -for=$(or $(FOR),30m)

failover: need-go need-postgres need-patroni ## Kill the primary of three PostgreSQL N=100 times under load, and do worse to it (about a minute each)
	TENTER_REQUIRE_PATRONI=1 $(GO) test ./scenario -count=1 -v -timeout 0 -run 'TestFailover$$' -scenario.failovers=$(or $(N),100) \
		-scenario.ttl=$(or $(TTL),30s) -scenario.failover-doc=$(CURDIR)/docs/reliability.md

fuzz: need-go ## Fuzz all that takes bytes from outside, FOR=1m each; what fails is kept in testdata
	@grep -rl --include='*_test.go' '^func Fuzz' . | sort | while read -r file; do \
		for name in $$(sed -n 's/^func \(Fuzz[A-Za-z]*\)(.*/\1/p' "$$file"); do \
			echo "$$name in $${file%/*}"; \
			$(GO) test -run '^$$' -fuzz "^$$name\$$" -fuzztime $(or $(FOR),1m) "$${file%/*}" </dev/null || exit 1; \
		done; \
	done

race: need-go ## Measure Tenter and its peers side by side (about 20 minutes)
	cd bench && $(GO) run ./race

screenshots: need-go need-chromium ## Make the screenshots of the dashboard in docs/img again
	$(GO) test -count=1 -run TestScreenshots ./dashboard -screenshots=$(CURDIR)/docs/img

need-go:
	@command -v $(GO) >/dev/null 2>&1 || \
		{ echo "make: there is no '$(GO)' on the PATH: install Go, or say make GO=/usr/local/go/bin/go" >&2; exit 1; }

need-cc: need-go
	@cc=$$($(GO) env CC); cc=$${cc%% *}; command -v "$$cc" >/dev/null 2>&1 || \
		{ echo "make: there is no C compiler '$$cc', which go test -race and make prose need; without one: go test ./..." >&2; exit 1; }

need-postgres:
	@command -v initdb >/dev/null 2>&1 || ls /usr/lib/postgresql/*/bin/initdb >/dev/null 2>&1 || \
		{ echo "make: there is no PostgreSQL, of which tests start their own: install it (on Debian: apt-get install postgresql); without it: go test ./..." >&2; exit 1; }

need-chromium:
	@command -v chromium >/dev/null 2>&1 || command -v chromium-browser >/dev/null 2>&1 || command -v google-chrome >/dev/null 2>&1 || \
		{ echo "make: there is no Chromium, in which tests look at the dashboard: install it (on Debian: apt-get install chromium); without it: go test ./..." >&2; exit 1; }

need-nginx:
	@command -v nginx >/dev/null 2>&1 || [ -x /usr/sbin/nginx ] || [ -x /usr/local/sbin/nginx ] || \
		{ echo "make: there is no nginx, through which a test attacks the API: install it (on Debian: apt-get install nginx-light; it need not be up); without it: go test ./..." >&2; exit 1; }

need-patroni:
	@for program in patroni etcd; do command -v $$program >/dev/null 2>&1 || \
		{ echo "make: there is no $$program, which make failover needs: install Patroni and etcd (on Debian: apt-get install patroni python3-etcd etcd-server; none of them need be up)" >&2; exit 1; }; done
