package main

import (
	"fmt"

	"github.com/kmodd/kmodd/rules/modprobed"
)

// A compat is the value of --compat: whose reading of modprobe.d counts.
type compat modprobed.Dialect

func (c *compat) Set(value string) error {
	if value != "kmod" {
		return fmt.Errorf("compatible with what? kmod is all there is: --compat=kmod")
	}
	*c = compat(modprobed.Kmod)
	return nil
}

func (c *compat) String() string {
	if *c == compat(modprobed.Kmod) {
		return "kmod"
	}
	return ""
}

func (c *compat) Type() string { return "whom" }
