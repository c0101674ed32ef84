package main

import (
	"io"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/kmodd/kmodd/cmd/kmodlab/camera"
)

func TestIdentityIsRead(t *testing.T) {
	for _, tt := range []struct {
		name, words string
		want        camera.Identity
		err         string
	}{
		{name: "a property that it has not", words: "colour=red", err: "a camera has vendorid, productid and serial, and no colour=red"},
		{name: "a number that is none", words: "vendorid=acme", err: "invalid syntax"},
		{name: "a number that is too great", words: "productid=0x10000", err: "out of range"},
		{name: "nothing", want: camera.Anybody},
		{name: "everything", words: "serial=a=b vendorid=0x1d6b productid=258", want: camera.Identity{Vendor: 0x1d6b, Product: 0x0102, Serial: "a=b"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got, err := identity(strings.Fields(tt.words))
			if (err == nil) != (tt.err == "") || err != nil && !strings.Contains(err.Error(), tt.err) {
				t.Errorf("error %v, want %q", err, tt.err)
			}
			if diff := cmp.Diff(tt.want, got); err == nil && diff != "" {
				t.Error("identity (-want +got):\n" + diff)
			}
		})
	}
}

func TestNoPicturesAreTaken(t *testing.T) {
	if err := takePictures(io.Discard, "/dev/null", "many"); err == nil || !strings.Contains(err.Error(), "invalid syntax") {
		t.Errorf("many pictures: %v", err)
	}
	if err := takePictures(io.Discard, "/dev/there is none", "1"); err == nil {
		t.Error("none was missed")
	}
}
