package variable

import (
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// providers answer "provider:key" of 2.4 where the Lookup does not.
var providers = map[string]func(key string) (string, error){
	"env":      envProvider,
	"process":  processProvider,
	"system":   systemProvider,
	"dovecot":  dovecotProvider,
	"date":     dateProvider,
	"time":     timeProvider,
	"generate": generateProvider,
	"event":    func(string) (string, error) { return "", errors.New("No event available") },
}

func envProvider(key string) (string, error) {
	if key == "" {
		return "", errors.New("Missing field")
	}
	return os.Getenv(key), nil
}

func processProvider(key string) (string, error) {
	if v, ok := process(key); ok && key != "hostname" {
		return v, nil
	}
	return "", fmt.Errorf("Unsupported field '%s'", key)
}

func systemProvider(key string) (string, error) {
	switch key {
	case "hostname":
		return os.Hostname()
	case "cpu_count":
		if n := os.Getenv("NCPU"); n != "" {
			return n, nil
		}
		return strconv.Itoa(runtime.NumCPU()), nil
	case "os", "os-version":
		var name syscall.Utsname
		if err := syscall.Uname(&name); err != nil {
			return "", fmt.Errorf("uname() failed: %w", err)
		}
		if key == "os" {
			return utsname(name.Sysname[:]), nil
		}
		return utsname(name.Release[:]), nil
	}
	return "", fmt.Errorf("Unsupported field '%s'", key)
}

// utsname turns the bytes of uname(2) into a string; their type differs
// between machines.
func utsname[T int8 | uint8](b []T) string {
	var s strings.Builder
	for _, c := range b {
		if c == 0 {
			break
		}
		s.WriteByte(byte(c))
	}
	return s.String()
}

// dovecotProvider keeps the names that a configuration of 2.4 expects.
func dovecotProvider(key string) (string, error) {
	switch key {
	case "name":
		return "Dovecot", nil
	case "version":
		return "2.4.4", nil
	}
	return "", fmt.Errorf("Unsupported field '%s'", key)
}

func dateProvider(key string) (string, error) {
	return formatted(key, map[string]string{"year": "2006", "month": "01", "day": "02"})
}

func timeProvider(key string) (string, error) {
	if key == "us" || key == "usec" {
		return strconv.Itoa(time.Now().Nanosecond() / 1000), nil
	}
	return formatted(key, map[string]string{"hour": "15", "min": "04", "minute": "04", "sec": "05", "second": "05"})
}

func formatted(key string, layouts map[string]string) (string, error) {
	layout := layouts[key]
	if layout == "" {
		return "", fmt.Errorf("Unsupported key '%s'", key)
	}
	return time.Now().Format(layout), nil
}

// generateProvider makes identifiers: 32 digits, with guid the name of the
// host after them; uuid in three spellings.
func generateProvider(key string) (string, error) {
	var b [16]byte
	_, _ = rand.Read(b[:]) // never fails
	uuid, spelling := strings.CutPrefix(key, "uuid")
	if spelling {
		b[6], b[8] = b[6]&0x0f|0x40, b[8]&0x3f|0x80
	}
	digits := hex.EncodeToString(b[:])
	record := strings.Join([]string{digits[:8], digits[8:12], digits[12:16], digits[16:20], digits[20:]}, "-")
	switch {
	case key == "guid":
		host, err := os.Hostname()
		return digits + "." + host, err
	case key == "guid128":
		return digits, nil
	case spelling && (uuid == "" || uuid == ":record"):
		return record, nil
	case spelling && uuid == ":compact":
		return digits, nil
	case spelling && uuid == ":microsoft":
		return "{" + record + "}", nil
	}
	return "", fmt.Errorf("Unsupported key '%s'", key)
}
