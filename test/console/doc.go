// Package console tests the way of a console as users see it: a virtual machine
// under qemu, its VNC server, onevnc, and noVNC in a headless Chromium. The
// tests need the build tag e2e and skip what is not installed; the load test
// against websockify has the tag load.
package console
