package lab

import (
	"path/filepath"
	"strings"
	"testing"

	"github.com/kmodd/kmodd/cmd/kmodlab/debian"
)

func TestADeviceTreeIsChangedByPathAndGetsNewNodes(t *testing.T) {
	if _, err := debian.Need(t.Context(), t.Output(), treeCompiler, treePackage); err != nil {
		t.Fatal(err)
	}
	before, after := filepath.Join(t.TempDir(), "before"), filepath.Join(t.TempDir(), "after")
	const tree = `/dts-v1/; / { soc { serial@1 { status = "disabled"; }; clock: clock@2 { }; };};`
	if _, err := compile(t.Context(), []byte(tree), "-I", "dts", "-O", "dtb", "-o", before); err != nil {
		t.Fatal(err)
	}
	err := changed(t.Context(), before, `&{/soc/serial@1} { status = "okay"; }; / { added { clocks = <&{/soc/clock@2}>; }; };`, after)
	if err != nil {
		t.Fatal(err)
	}
	text, err := compile(t.Context(), nil, "-I", "dtb", "-O", "dts", after)
	for _, want := range []string{`status = "okay"`, "added {", "clocks = <0x01>", "phandle = <0x01>"} {
		if !strings.Contains(string(text), want) || err != nil {
			t.Errorf("%v: it has no %s:\n%s", err, want, text)
		}
	}
	if err := changed(t.Context(), before, "&{/nosuch} { };", after); err == nil || !strings.Contains(err.Error(), "nosuch") {
		t.Errorf("a node that is not there: %v", err)
	}
	if err := changed(t.Context(), filepath.Join(t.TempDir(), "none"), "", after); err == nil {
		t.Error("a file that is not there: no error")
	}
}
