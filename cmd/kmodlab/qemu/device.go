package qemu

type plugged struct{}
