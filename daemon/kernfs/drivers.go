package kernfs

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
)

// Drivers lists the directories of a module's drivers, below sys and without it
// ("/bus/usb/drivers/hub"), sorted. A module without any, and one that is not
// there, has none.
//
// The module's own list will not do where a driver has a / in its name, as those of
// several PHYs have: the kernel ends the reading there with EIO (verify_dirent_name
// in fs/readdir.c), whatever comes after. In the list of the bus it is a !.
func Drivers(sys, module string) ([]string, error) {
	list := "/module/" + module + "/drivers"
	entries, err := os.ReadDir(sys + list)
	switch {
	case errors.Is(err, os.ErrNotExist):
		return nil, nil
	case err != nil:
		return driversByBus(sys, module)
	}
	var dirs []string
	for _, e := range entries {
		target, err := os.Readlink(sys + list + "/" + e.Name())
		if err == nil { // else it has gone
			dirs = append(dirs, filepath.Join(list, target))
		}
	}
	slices.Sort(dirs)
	return dirs, nil
}

// driversByBus asks every driver in the system whose it is.
func driversByBus(sys, module string) (dirs []string, err error) {
	buses, err := os.ReadDir(sys + "/bus")
	if err != nil {
		return nil, err
	}
	for _, bus := range buses {
		list := "/bus/" + bus.Name() + "/drivers/"
		drivers, err := os.ReadDir(sys + list)
		if err != nil && !errors.Is(err, os.ErrNotExist) {
			return nil, err
		}
		for _, d := range drivers {
			if owner, _ := os.Readlink(sys + list + d.Name() + "/module"); filepath.Base(owner) == module {
				dirs = append(dirs, list+d.Name())
			}
		}
	}
	return dirs, nil
}
