// Package sched is the scheduler process of OpenNebula 4.6 around core/match:
// sched.conf, sched.log, the calls to oned and the loop that makes a pass over
// the waiting machines at every interval.
package sched
