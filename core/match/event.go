package match

import (
	"strconv"
	"strings"
)

// Level is the level of an event in sched.log.
type Level int

// The levels of 4.6's logs, with their numbers.
const (
	LevelError Level = iota
	LevelWarning
	LevelInfo
	LevelDebug
)

// EventKind tells what happened to a machine.
type EventKind uint8

// The events, in the order in which a pass can meet them.
const (
	EventImageDatastoreFull EventKind = iota
	EventImageDatastoreMissing
	EventOnlyPublic
	EventHostNotAuthorized
	EventHostNotPublic
	EventHostCurrent
	EventRequirementError
	EventHostRequirements
	EventHostCapacity
	EventRankError
	EventDatastoreNotAuthorized
	EventDatastoreRequirementError
	EventDatastoreRequirements
	EventDatastoreCapacity
	EventLocalDatastoreCapacity
	EventNoDatastoreForHost
	EventHostEscaped
)

// Event is something the log tells about a machine.
type Event struct {
	Kind      EventKind
	Host      int
	Datastore int
	Detail    string // the message of an error
}

// Level returns the event's level in sched.log.
func (e Event) Level() Level {
	switch e.Kind {
	case EventRequirementError, EventDatastoreRequirementError, EventRankError:
		return LevelError
	case EventImageDatastoreFull, EventImageDatastoreMissing, EventOnlyPublic, EventNoDatastoreForHost:
		return LevelInfo
	}
	return LevelDebug
}

// Module returns the module that logs the event.
func (e Event) Module() string {
	if e.Kind == EventRankError {
		return "RANK"
	}
	return "SCHED"
}

// Text returns 4.6's log message for the event of machine vm.
func (e Event) Text(vm int) string { return string(e.Append(nil, vm)) }

// Append appends Text to dst: a pass of a large cloud has millions of events.
func (e Event) Append(dst []byte, vm int) []byte {
	switch e.Kind {
	case EventRankError:
		return append(dst, e.Detail...)
	case EventImageDatastoreMissing:
		return appendf(dst, "Image Datastore % not found.", e.Datastore)
	}
	dst = appendf(dst, "VM %: ", vm)
	switch e.Kind {
	case EventImageDatastoreFull:
		return appendf(dst, "Image Datastore % does not have enough free storage.", e.Datastore)
	case EventOnlyPublic:
		return append(dst, "Local Datastores do not have enough capacity. This VM can be only deployed in a Public Cloud Host."...)
	case EventHostNotAuthorized:
		return appendf(dst, "Host % filtered out. User is not authorized to MANAGE it.", e.Host)
	case EventHostNotPublic:
		return appendf(dst, "Host % filtered out. VM can only be deployed in a Public Cloud Host, but this one is local.", e.Host)
	case EventHostCurrent:
		return appendf(dst, "Host % filtered out. VM cannot be migrated to its current Host.", e.Host)
	case EventHostRequirements:
		return appendf(dst, "Host % filtered out. It does not fulfill SCHED_REQUIREMENTS.", e.Host)
	case EventHostCapacity:
		return appendf(dst, "Host % filtered out. Not enough capacity.", e.Host)
	case EventDatastoreNotAuthorized:
		return appendf(dst, "Datastore % filtered out. User is not authorized to USE it.", e.Datastore)
	case EventDatastoreRequirements:
		return appendf(dst, "Datastore % filtered out. It does not fulfill SCHED_DS_REQUIREMENTS.", e.Datastore)
	case EventDatastoreCapacity:
		return appendf(dst, "Datastore % filtered out. Not enough capacity.", e.Datastore)
	case EventLocalDatastoreCapacity:
		return appendf(dst, "Local Datastore % in Host % filtered out. Not enough capacity.", e.Datastore, e.Host)
	case EventNoDatastoreForHost:
		return appendf(dst, "No suitable System DS found for Host: %. Filtering out host.", e.Host)
	case EventHostEscaped:
		return appendf(dst, "Host % filtered out. It does not fulfill AUTOMATIC_REQUIREMENTS.", e.Host)
	}
	return append(dst, e.Detail...)
}

// appendf replaces each % by the next number.
func appendf(dst []byte, text string, numbers ...int) []byte {
	for _, n := range numbers {
		before, after, _ := strings.Cut(text, "%")
		dst = append(dst, before...)
		dst = strconv.AppendInt(dst, int64(n), 10)
		text = after
	}
	return append(dst, text...)
}
