# make            build
# make run        a cloud in ./cloud with a virtual machine that runs; make stop ends it
# make test       everything that needs no special hardware
# make help       the rest

GO    ?= go
SHELL := /bin/sh
CLOUD ?= $(CURDIR)/cloud

# What one_vmm_exec's qemu driver and the transfer scripts run.
RUN_PACKAGES = qemu-system-x86_64=qemu-system-x86 qemu-img=qemu-utils genisoimage=genisoimage

STATICCHECK = honnef.co/go/tools/cmd/staticcheck@v0.8.2

# Recordings of the real 4.6.2 and the tools that replay them; not part of this repository.
SHARED ?= $(CURDIR)/../shared

.PHONY: build
build:
	$(GO) build -o bin/ ./cmd/...

.PHONY: help
help:
	@sed -n '/^#\$$/s/^#\$$/  make/p' Makefile

#$ install                     system-wide, below DESTDIR if it is set
#$ install ONE_LOCATION=DIR    self-contained
.PHONY: install
install: build
	sh share/scripts/install.sh bin $(ONE_LOCATION)

#$ run                         a cloud in ./cloud (CLOUD=DIR) with a virtual machine; PORT=N for another port
.PHONY: run
run:
	@share/scripts/install-packages.sh $(RUN_PACKAGES) & packages=$$!; \
	echo "Building"; $(GO) build -o bin/ ./cmd/... || exit 1; \
	wait $$packages || echo "Going on without"
	@KEEP_CONFIGURATION=yes sh share/scripts/install.sh bin $(CLOUD)
	@bin/onedemo up $(CLOUD)

#$ stop                        ends that cloud; "make run" goes on with it
.PHONY: stop
stop:
	@if [ -d $(CLOUD) ]; then $(GO) build -o bin/ ./cmd/onedemo && bin/onedemo down $(CLOUD); else echo "No cloud in $(CLOUD)"; fi

#$ test                        go vet and all tests that need no special hardware
.PHONY: test
test:
	$(GO) vet ./...
	$(GO) test -timeout 25m ./...

#$ race                        the same tests with the race detector
.PHONY: race
race:
	$(GO) test -race ./...

#$ lint                        gofmt, go vet, staticcheck, shellcheck
.PHONY: lint
lint:
	@unformatted=$$(gofmt -l $$(git ls-files '*.go')); \
	[ -z "$$unformatted" ] || { echo "gofmt: $$unformatted"; exit 1; }
	$(GO) vet ./...
	$(GO) vet -tags e2e,load ./...
	$(GO) run $(STATICCHECK) ./...
	share/scripts/shellcheck-all.sh

#$ fuzz                        every fuzz target for FUZZTIME (10s)
FUZZTIME ?= 10s
.PHONY: fuzz
fuzz:
	@GO="$(GO)" sh test/fuzz.sh $(FUZZTIME)

#$ model                       random sequences of everything that can happen, MODEL_STEPS of them (5000000)
MODEL_STEPS ?= 5000000
.PHONY: model
model:
	$(GO) test -count=1 -timeout 6h -v ./test/model -run TestModel -model.steps=$(MODEL_STEPS)

#$ crash                       kill oned under load, CRASH_KILLS times (500), and look at what is left
CRASH_KILLS ?= 500
.PHONY: crash
crash:
	$(GO) test -count=1 -timeout 6h -v ./test/crash -run TestKill -crash.kills=$(CRASH_KILLS)

#$ bench                       all benchmarks
.PHONY: bench
bench:
	$(GO) test -run '^$$' -bench . -benchmem ./...

#$ load                        the figures of docs/performance.md: an oned with 10,000 virtual machines under load
.PHONY: load
load:
	$(GO) test -tags load -count=1 -timeout 30m -run 'TestLoad$$' -v ./test/e2e

#$ conformance                 replay the recordings of the real 4.6.2 in SHARED, if they are there
.PHONY: conformance conformance-api conformance-sched conformance-db
conformance: build
	@sh test/conformance/run.sh "$(SHARED)" api sched db
conformance-api conformance-sched conformance-db: conformance-%: build
	@sh test/conformance/run.sh "$(SHARED)" $*

#$ way-back                    does ONED46, a real oned 4.6.2, find in DATABASES what ours finds? CONF: see the program
.PHONY: way-back
way-back: build
	@python3 test/conformance/way_back.py "$(ONED46)" bin/oned "$(CONF)" $(DATABASES)

#$ driver-check                run drivers of 4.6's kind through the protocol: DIR="path/to/vmm/mine …", ours without DIR
DIR ?= $(foreach kind,vmm tm datastore vnm auth,$(patsubst %/,%,$(wildcard drivers/$(kind)/*/))) $(wildcard drivers/im/*-probes.d)
.PHONY: driver-check
driver-check:
	$(GO) build -o bin/ ./cmd/onemad
	@bin/onemad check $(filter-out drivers/vmm/deploy drivers/tm/common,$(DIR))

#$ e2e-console                 consoles in a headless browser; needs qemu, novnc, chromium
.PHONY: e2e-console
e2e-console:
	$(GO) test -tags e2e -count=1 -v ./test/console/

#$ e2e-xen                     the Xen drivers against Xen hosts in QEMU; root, see test/xen/README.md
.PHONY: e2e-xen
e2e-xen:
	$(GO) test -tags e2e -count=1 -timeout 3h -v ./test/xen/

#$ load-console                500 consoles at a time, against websockify if that is installed
.PHONY: load-console
load-console:
	$(GO) test -tags load -count=1 -run Load -v ./test/console/

# What the laboratories below run; their tests skip where it is missing and cannot be installed.
LAB_PACKAGES = qemu-system-x86_64=qemu-system-x86 busybox=busybox-static depmod=kmod
KVM_PACKAGES = $(LAB_PACKAGES) libvirtd=libvirt-daemon virtlogd=libvirt-daemon-system virsh=libvirt-clients qemu-img=qemu-utils \
	sshd=openssh-server ssh=openssh-client sudo=sudo ip=iproute2 iptables=iptables ebtables=ebtables bindfs=bindfs \
	ping=iputils-ping genisoimage=genisoimage mkfs.ext4=e2fsprogs

#$ e2e-kvm                     virtual machines on two libvirt hosts in namespaces; needs root
.PHONY: e2e-kvm
e2e-kvm:
	@share/scripts/install-packages.sh $(KVM_PACKAGES) || echo "Going on without"
	$(GO) test -tags e2e -count=1 -timeout 90m -v ./test/kvm/

STORAGE_PACKAGES = $(LAB_PACKAGES) qemu-img=qemu-utils sshd=openssh-server ssh=openssh-client lvcreate=lvm2 dmsetup=dmsetup \
	sudo=sudo genisoimage=genisoimage curl=curl openssl=openssl xz=xz-utils bzip2=bzip2 mkfs.ext4=e2fsprogs mkfs.xfs=xfsprogs \
	mkfs.btrfs=btrfs-progs mkfs.vfat=dosfstools mkfs.ntfs=ntfs-3g mkfs.jfs=jfsutils mkfs.reiserfs=reiserfsprogs
NETWORK_PACKAGES = $(LAB_PACKAGES) sudo=sudo ip=iproute2 iptables=iptables ebtables=ebtables brctl=bridge-utils vconfig=vlan \
	ovs-vswitchd=openvswitch-switch ping=iputils-ping

#$ e2e-storage                 transfers and datastores with real tools, hosts over ssh, volume groups
.PHONY: e2e-storage
e2e-storage:
	@share/scripts/install-packages.sh $(STORAGE_PACKAGES) || echo "Going on without"
	@GO="$(GO)" test/lab/run.sh storage

#$ e2e-network                 network drivers with real bridges, VLANs and filters; needs root
.PHONY: e2e-network
e2e-network:
	@share/scripts/install-packages.sh $(NETWORK_PACKAGES) || echo "Going on without"
	@GO="$(GO)" test/lab/run.sh network
