package qemu

import "context"

// PressPower presses the power button, which wakes a machine that is suspended to idle.
func (vm *VM) PressPower(ctx context.Context) error {
	return vm.Monitor.Do(ctx, "system_powerdown", nil, nil)
}
