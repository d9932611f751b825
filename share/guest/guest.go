// Package guest is a virtual machine that needs no download: a boot sector that
// shows a line and echoes what is typed, on the screen and the serial port.
// boot.asm is its source; boot.img what nasm makes of it.
package guest

import _ "embed"

//go:embed boot.img
var bootSector []byte

// diskSize is what the smallest disk of a cloud has: images are counted in MB.
const diskSize = 1 << 20

// Greeting is what the machine says on its serial port once it runs.
const Greeting = "Test guest ready"

// Disk returns a raw disk of 1 MB that boots the machine.
func Disk() []byte {
	disk := make([]byte, diskSize)
	copy(disk, bootSector)
	return disk
}
