package main

import (
	"testing"

	"github.com/rogpeppe/go-internal/testscript"
)

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"kmodd-tools": main, "modinfo": main, "lsmod.old": main})
}

func TestItIsWhatItIsCalled(t *testing.T) {
	testscript.Run(t, testscript.Params{Dir: "testdata"})
}
