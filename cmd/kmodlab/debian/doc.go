// Package debian fetches what the test bench is made of from Debian's own
// packages, keeps it unpacked in a cache, and says where it lies.
//
// # What is fetched
//
// [LoadKernel] gives the kernel that the package linux-image-amd64 depends on
// at this moment, with its whole module tree and the tables that depmod makes
// of it. [LoadUserland] gives the programs that a guest needs beside our own: a
// static busybox, kmod, udev and every library that these two link. [LoadHeaders]
// gives what modules for that kernel are built against. Boards of another
// [Architecture] get the same from its methods of these names. [Need]
// makes sure that a program of the host itself is there, and installs its
// package where that is allowed. [Unpacked] gives programs of the host that are
// not to be installed.
//
// # The cache
//
// Everything lies below $XDG_CACHE_HOME/kmodd, by default ~/.cache/kmodd:
//
//	kernel/NAME_VERSION_ARCH/   one unpacked package, with tables
//	kernel/current-DIGEST       a link to the one in use
//	headers/NAME/               what modules for that kernel are built against
//	userland/DIGEST/            the packages of one user land
//	userland/current-DIGEST
//	unpacked/                   other packages, in the same way
//	apt/ARCH/                   package lists of our own, see below
//
// A tree is unpacked beside its place and renamed, so what exists is whole. A
// warm cache costs a readlink and a few stats, takes no lock and needs no
// network, so tests of other packages may ask for Debian's tables freely. On a
// cold one the processes that ask at the same time queue at a lock, and the
// first does the work. What is cached is used until it is removed: a newer
// kernel comes with rm -rf of the folder.
//
// # Without root, without lists
//
// Nothing here needs root but [Need]. Packages are taken with apt-get download
// and unpacked with dpkg -x. Where the system's own package lists are empty or
// too old for the mirror, lists are fetched into the cache, and the system's
// stay as they are. That is also how packages of another architecture come: the
// system's dpkg hears nothing of it.
package debian
