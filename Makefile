# Each target works on a fresh clone; only the Go modules and, for tests beside real Dovecot, Debian packages are fetched.
.PHONY: build test check fuzz interop bench samples demo install clean cover rows deps
export CGO_ENABLED ?= 0
# What works on several things at once. Tests that kill a process at each of its writes learn nothing from the race detector.
CONCURRENT = ./formats ./formats/disk ./formats/layout ./formats/index/... ./sync/... ./convert ./convert/courier ./serve ./auth/...
DEATHS = Kill|Death|AnyWrite|FullDisk

# dovetail is static. dovetail-pam loads libpam, so it is linked with the C library; neither needs a C compiler.
build:
	go build -o bin/dovetail ./cmd/dovetail
	go build -o bin/dovetail-pam ./cmd/dovetail-pam
	ln -sf dovetail bin/checkpassword-reply

test: deps
	go test -timeout 20m ./...

check:
	@test -z "$$(gofmt -l .)" || { gofmt -l .; echo "run gofmt -w on these"; exit 1; }
	go vet ./...
	go tool staticcheck ./...
	go test -count=1 -run 'Layers|Forbidden' ./cmd/dovetail
	CGO_ENABLED=1 go test -race -skip '$(DEATHS)' $(CONCURRENT)

fuzz:
	@scripts/fuzz 30s

interop: deps
	go test -count=1 -run 'Dovecot|Courier|Matrix|Interop|Live|Site|Traps|CutOver' ./...

bench: build
	go run ./scripts/bench $(BENCH)
	go run ./scripts/bench courier $(BENCH_COURIER)
	go run ./scripts/bench auth $(BENCH_AUTH)
	go run ./scripts/bench imap $(BENCH_IMAP)
	go run ./scripts/bench lmtp $(BENCH_LMTP)
	go run ./scripts/bench pop3 $(BENCH_POP3)

samples: deps
	scripts/make-samples

demo: build
	@scripts/demo

install: build
	install -D bin/dovetail $(DESTDIR)$(or $(PREFIX),/usr/local)/bin/dovetail
	install -D bin/dovetail-pam $(DESTDIR)$(or $(PREFIX),/usr/local)/libexec/dovetail/dovetail-pam
	ln -sf ../../bin/dovetail $(DESTDIR)$(or $(PREFIX),/usr/local)/libexec/dovetail/checkpassword-reply

cover:
	go test -coverprofile=cover.out ./... && go tool cover -func=cover.out | tail -1

rows:
	go test -json ./... | go run ./scripts/rows samples/requirements.md

clean:
	rm -rf bin dist cover.out *.test

# What the tests beside real Dovecot and real Courier need; without root or apt they skip and say so.
deps:
	@scripts/deps
