package debian

import (
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

const bookworm = `Package: linux-image-amd64
Source: linux-signed-amd64 (6.1.192+2)
Version: 6.1.192-2
Depends: linux-image-6.1.0-56-amd64 (= 6.1.192-2)
Description: Linux for 64-bit PCs (meta-package)
 Depends: not-a-field

Package: udev
Version: 252.39-1
Pre-Depends: init-system-helpers (>= 1.54~), libc6:amd64 (>= 2.34)
Depends: libacl1 (>= 2.2.23), libkmod2 | libkmod3, adduser
`

func TestControlDataIsReadByParagraph(t *testing.T) {
	found, err := parseStanzas(strings.NewReader(bookworm))
	if err != nil {
		t.Fatal(err)
	}
	if len(found) != 2 {
		t.Fatalf("read %d paragraphs, want 2", len(found))
	}
	want := []string{"init-system-helpers", "libc6", "libacl1", "libkmod2", "adduser"}
	if diff := cmp.Diff(want, found[1].depends()); diff != "" {
		t.Error("dependencies of udev (-want +got):\n" + diff)
	}
}

func TestKernelPackageIsTheMetaPackagesDependency(t *testing.T) {
	for _, tt := range []struct {
		name, depends, want, err string
	}{
		{name: "no dependency is an error that shows the package", err: "linux-image-amd64 1-2 depends on no linux-image"},
		{name: "headers are no kernel", depends: "linux-headers-6.1.0-56-amd64", err: `"linux-headers-6.1.0-56-amd64"`},
		{name: "Debian 12", depends: "linux-image-6.1.0-56-amd64 (= 6.1.192-2)", want: "linux-image-6.1.0-56-amd64"},
		{name: "Debian 13", depends: "linux-base, linux-image-6.12.41+deb13-amd64 (= 6.12.41-1)", want: "linux-image-6.12.41+deb13-amd64"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got, err := stanza{"Package": AMD64.metaPackage(), "Version": "1-2", "Depends": tt.depends}.imagePackage()
			if got != tt.want {
				t.Errorf("got %q, want %q", got, tt.want)
			}
			if (err == nil) != (tt.err == "") || err != nil && !strings.Contains(err.Error(), tt.err) {
				t.Errorf("error %v, want one with %q", err, tt.err)
			}
		})
	}
}

func TestClosureTakesLibrariesAndNothingElse(t *testing.T) {
	archive := map[string]stanza{
		"kmod":     {"Depends": "libkmod2, adduser"},
		"udev":     {"Depends": "libudev1, libkmod2, systemd"},
		"libkmod2": {"Depends": "libc6"},
		"libudev1": {"Depends": "libc6"},
		"libc6":    {"Depends": "libgcc-s1"},
		// libgcc-s1 and libc6 depend on each other.
		"libgcc-s1": {"Depends": "gcc-12-base, libc6"},
	}
	got, err := closure([]string{"kmod", "udev"}, func(names []string) ([]stanza, error) {
		var found []stanza
		for _, name := range names {
			found = append(found, archive[name])
		}
		return found, nil
	})
	if err != nil {
		t.Fatal(err)
	}
	want := []string{"kmod", "udev", "libkmod2", "libudev1", "libc6", "libgcc-s1"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error("packages (-want +got):\n" + diff)
	}
}

func TestClosureWithAnUnknownPackageNamesTheRound(t *testing.T) {
	_, err := closure([]string{"kmod", "nosuch"}, func([]string) ([]stanza, error) {
		return []stanza{{"Package": "kmod"}}, nil
	})
	if err == nil || !strings.Contains(err.Error(), "know 1 of kmod nosuch") {
		t.Errorf("error %v, want one that names the packages", err)
	}
}

func TestClosurePassesOnWhatTheArchiveSays(t *testing.T) {
	broken := errors.New("no network")
	if _, err := closure(roots, func([]string) ([]stanza, error) { return nil, broken }); !errors.Is(err, broken) {
		t.Errorf("error %v, want %v", err, broken)
	}
}

func TestProgressIsALineForEveryFifth(t *testing.T) {
	var shown strings.Builder
	showStatus(&shown, strings.NewReader(`pmstatus:x:50:irrelevant
dlstatus:1:0.0000:Retrieving file 1 of 2
dlstatus:1:19.9:Retrieving file 1 of 2
dlstatus:1:21.5:Retrieving file 1 of 2
dlstatus:1:not a number:Retrieving
dlstatus:1:85:Retrieving file 2 of 2
dlstatus:2:100.0000:Retrieving file 2 of 2
`))
	if diff := cmp.Diff("  20 %\n  80 %\n  100 %\n", shown.String()); diff != "" {
		t.Error("progress (-want +got):\n" + diff)
	}
}
