// Package model is a test of the whole core against everything that users, drivers and failures can do to it, in any order: random
// sequences of API calls, driver answers (also late, twice or out of nowhere), monitoring, deaths of drivers, restarts of the daemon,
// clocks that are set back, and a database that hangs or takes nothing for a while. After each step the books of the cloud have to
// balance (package audit), and no virtual machine may be left where nothing happens any more and no user can help.
//
// The daemon is real from the method table down to the rows; only driver processes, disk and clock are the test's. A sequence is a
// list of steps, each a kind and a number that its choices are drawn from, so that a failing one can be cut down step by step and is
// printed as what happened.
package model
