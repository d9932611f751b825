package match

// Policy is how the scheduler ranks where the machine's own rank is missing,
// and how much it does in one pass.
type Policy struct {
	HostRank      string // rank text, "" for none: all hosts are equal
	DatastoreRank string
	MaxDispatch   int // successful dispatches in a pass, 0 without limit
	MaxHost       int // successful dispatches to one host in a pass, 0 for none at all
	// AuthorizeDatastores asks for the owner's right to USE the system
	// datastore. 4.6 does not ask.
	AuthorizeDatastores bool
}

// HostPolicy is the rank text of a DEFAULT_SCHED policy number; rank is the
// one of policy 3. Unknown numbers rank nothing.
func HostPolicy(number int, rank string) string {
	switch number {
	case 0:
		return "RUNNING_VMS"
	case 1:
		return "- RUNNING_VMS"
	case 2:
		return "FREE_CPU"
	case 3:
		return rank
	case 4:
		return "PRIORITY"
	}
	return ""
}

// DatastorePolicy is the rank text of a DEFAULT_DS_SCHED policy number; rank
// is the one of policy 2. Unknown numbers rank nothing.
func DatastorePolicy(number int, rank string) string {
	switch number {
	case 0:
		return "- FREE_MB"
	case 1:
		return "FREE_MB"
	case 2:
		return rank
	case 3:
		return "PRIORITY"
	}
	return ""
}
