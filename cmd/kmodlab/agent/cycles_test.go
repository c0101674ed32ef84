package main

import (
	"os"
	"path/filepath"
	"testing"
)

func TestHeldObjectsAreThoseInUseOfCachesThatGiveNothingUp(t *testing.T) {
	dir := t.TempDir()
	info := filepath.Join(dir, "slabinfo")
	write := func(path, text string) {
		t.Helper()
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	write(info, `slabinfo - version: 2.1
# name            <active_objs> <num_objs> <objsize> <objperslab> <pagesperslab> : tunables <limit> <batchcount> <sharedfactor> : slabdata <active_slabs> <num_slabs> <sharedavail>
dentry              9000  10000    192   21    1 : tunables    0    0    0 : slabdata    500    500      0
task_struct          114    129   8448    3    8 : tunables    0    0    0 : slabdata     43     43      0
kmalloc-64            10     64     64   64    1 : tunables    0    0    0 : slabdata      1      1      0
`)
	write(filepath.Join(dir, "caches/dentry/reclaim_account"), "1\n")
	write(filepath.Join(dir, "caches/task_struct/reclaim_account"), "0\n")
	got, err := heldObjects(info, filepath.Join(dir, "caches"))
	if want := int64(114*8448 + 10*64); got != want || err != nil {
		t.Errorf("%d bytes are held, %v; want %d", got, err, want)
	}
	write(info, "kmalloc-64 many 64 64\n")
	if got, err := heldObjects(info, dir); err == nil {
		t.Errorf("%d bytes are held of what can't be read", got)
	}
}
