package credential

import (
	"errors"
	"io/fs"
	"os"

	"go.yaml.in/yaml/v3"
)

// readConfiguration reads a file of etc/auth into what config points to, which
// keeps its values where the file has none. The file may be missing.
func (s Site) readConfiguration(name string, config any) error {
	path := s.path(name)
	data, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err == nil {
		err = yaml.Unmarshal(data, config)
	}
	if err != nil {
		return configurationError(path, err)
	}
	return nil
}
