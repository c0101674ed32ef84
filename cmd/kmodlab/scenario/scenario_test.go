package scenario

import (
	"os"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/kmodd/kmodd/cmd/kmodlab/lab"
)

func TestScenarios(t *testing.T) {
	build, err := lab.Prepare(t.Context(), os.Stderr, lab.Programs...)
	if err != nil {
		t.Fatal(err)
	}
	files, err := Files("../../../testdata/scenarios")
	if err != nil {
		t.Fatal(err)
	}
	testscript.Run(t, NewRunner(t.Context(), build).Params(files...))
}
