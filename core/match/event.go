package match

import "fmt"

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
func (e Event) Text(vm int) string {
	switch e.Kind {
	case EventRankError:
		return e.Detail
	case EventImageDatastoreMissing:
		return fmt.Sprintf("Image Datastore %d not found.", e.Datastore)
	}
	return fmt.Sprintf("VM %d: %s", vm, e.about())
}

func (e Event) about() string {
	switch e.Kind {
	case EventImageDatastoreFull:
		return fmt.Sprintf("Image Datastore %d does not have enough free storage.", e.Datastore)
	case EventOnlyPublic:
		return "Local Datastores do not have enough capacity. This VM can be only deployed in a Public Cloud Host."
	case EventHostNotAuthorized:
		return fmt.Sprintf("Host %d filtered out. User is not authorized to MANAGE it.", e.Host)
	case EventHostNotPublic:
		return fmt.Sprintf("Host %d filtered out. VM can only be deployed in a Public Cloud Host, but this one is local.", e.Host)
	case EventHostCurrent:
		return fmt.Sprintf("Host %d filtered out. VM cannot be migrated to its current Host.", e.Host)
	case EventHostRequirements:
		return fmt.Sprintf("Host %d filtered out. It does not fulfill SCHED_REQUIREMENTS.", e.Host)
	case EventHostCapacity:
		return fmt.Sprintf("Host %d filtered out. Not enough capacity.", e.Host)
	case EventDatastoreRequirements:
		return fmt.Sprintf("Datastore %d filtered out. It does not fulfill SCHED_DS_REQUIREMENTS.", e.Datastore)
	case EventDatastoreCapacity:
		return fmt.Sprintf("Datastore %d filtered out. Not enough capacity.", e.Datastore)
	case EventLocalDatastoreCapacity:
		return fmt.Sprintf("Local Datastore %d in Host %d filtered out. Not enough capacity.", e.Datastore, e.Host)
	case EventNoDatastoreForHost:
		return fmt.Sprintf("No suitable System DS found for Host: %d. Filtering out host.", e.Host)
	case EventHostEscaped:
		return fmt.Sprintf("Host %d filtered out. It does not fulfill AUTOMATIC_REQUIREMENTS.", e.Host)
	}
	return e.Detail
}
