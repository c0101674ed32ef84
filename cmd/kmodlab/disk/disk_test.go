package disk

import (
	"bytes"
	"strings"
	"testing"
)

func TestWhatDoesNotFitIsRefused(t *testing.T) {
	for _, tt := range []struct{ name, label, file, text string }{
		{"a label of 12 characters", "twelve chars", "a.txt", ""},
		{"a name of 9 characters", "lab", "ninechars.txt", ""},
		{"an extension of 4", "lab", "a.text", ""},
		{"a text longer than a cluster", "lab", "a.txt", strings.Repeat("x", 513)},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if _, err := FAT(tt.label, tt.file, tt.text); err == nil {
				t.Error("no error")
			}
		})
	}
}

// That the kernel mounts the disk and finds the file is said by a scenario.
func TestADiskHasItsPartsWhereTheFileSystemWantsThem(t *testing.T) {
	image, err := FAT("lab", "hello.txt", "hello from the disk\n")
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		name   string
		offset int
		want   string
	}{
		{"the boot signature", 510, "\x55\xaa"},
		{"the file system's name", 54, "FAT12   "},
		{"the first table", 512, "\xf0\xff\xff\xff\x0f"},
		{"the second table", 512 * 10, "\xf0\xff\xff\xff\x0f"},
		{"the label", 512 * 19, "LAB        \x08"},
		{"the file's entry", 512*19 + 32, "HELLO   TXT\x20"},
		{"its cluster and length", 512*19 + 32 + 26, "\x02\x00\x14\x00\x00\x00"},
		{"its text", 512 * 33, "hello from the disk\n\x00"},
	} {
		if got := image[tt.offset : tt.offset+len(tt.want)]; !bytes.Equal(got, []byte(tt.want)) {
			t.Errorf("%s is %q, want %q", tt.name, got, tt.want)
		}
	}
	if len(image) != 1440<<10 {
		t.Errorf("%d bytes, want 1440 KiB", len(image))
	}
}
