package kernel

import "golang.org/x/sys/unix"

// Release is that of the running kernel, as uname -r says it.
func Release() (string, error) {
	var name unix.Utsname
	if err := unix.Uname(&name); err != nil {
		return "", err
	}
	return unix.ByteSliceToString(name.Release[:]), nil
}
