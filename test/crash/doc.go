// Package crash kills the daemon while it works, again and again, and looks at what is left: everything that it has promised must be
// there, the books must balance (package audit), and every virtual machine must come to rest by itself or by `recover`. It also tests
// that a driver which does not answer for one virtual machine keeps no other one waiting.
//
// The daemon is the real one; the drivers are the test's own program, which answers late, badly or not at all.
package crash
