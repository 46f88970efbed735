// Package users finds accounts in /etc/passwd and /etc/group. The guest is static, so the C library cannot do it.
package users

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
)

// databaseLimit bounds what is read of a database: whoever is root inside may write anything there.
const databaseLimit = 4 << 20

// ErrUnknown says that no account has the name.
var ErrUnknown = errors.New("no such user")

// User is one account with every group that it belongs to.
type User struct {
	Name   string
	UID    uint32
	GID    uint32
	Home   string
	Shell  string
	Groups []uint32
}

// Databases are the two files that accounts are read from. They are read at every look-up, since a sandbox may change them.
type Databases struct {
	Passwd string
	Group  string
}

// System is the pair that every Linux has.
var System = Databases{Passwd: "/etc/passwd", Group: "/etc/group"}

// Lookup returns the account called name, or an error that wraps ErrUnknown.
func (d Databases) Lookup(name string) (*User, error) {
	file, err := os.Open(d.Passwd)
	if err != nil {
		if name == "root" && errors.Is(err, os.ErrNotExist) {
			return &User{Name: "root", Home: "/root", Shell: "/bin/sh", Groups: []uint32{0}}, nil
		}
		return nil, err
	}
	defer file.Close()
	user, err := findUser(io.LimitReader(file, databaseLimit), name)
	if err != nil {
		return nil, err
	}
	user.Groups = []uint32{user.GID}
	if groups, err := os.Open(d.Group); err == nil {
		defer groups.Close()
		user.Groups = append(user.Groups, findGroups(io.LimitReader(groups, databaseLimit), name, user.GID)...)
	}
	return user, nil
}

// Names answers many look-ups of names by number from one reading of the databases.
type Names struct {
	users  map[uint32]string
	groups map[uint32]string
}

// ReadNames reads both databases once. What is not in them is answered by its number.
func (d Databases) ReadNames() Names {
	return Names{users: readNumbers(d.Passwd), groups: readNumbers(d.Group)}
}

// User returns the name of uid.
func (n Names) User(uid uint32) string { return nameOrNumber(n.users, uid) }

// Group returns the name of gid.
func (n Names) Group(gid uint32) string { return nameOrNumber(n.groups, gid) }

func nameOrNumber(names map[uint32]string, number uint32) string {
	if name, ok := names[number]; ok {
		return name
	}
	return strconv.FormatUint(uint64(number), 10)
}

func readNumbers(path string) map[uint32]string {
	names := map[uint32]string{}
	file, err := os.Open(path)
	if err != nil {
		return names
	}
	defer file.Close()
	eachLine(io.LimitReader(file, databaseLimit), func(fields []string) bool {
		if len(fields) < 3 {
			return true
		}
		if number, ok := parseNumber(fields[2]); ok {
			if _, taken := names[number]; !taken {
				names[number] = fields[0]
			}
		}
		return true
	})
	return names
}

func findUser(passwd io.Reader, name string) (*User, error) {
	var found *User
	eachLine(passwd, func(fields []string) bool {
		if len(fields) < 7 || fields[0] != name {
			return true
		}
		uid, uidOK := parseNumber(fields[2])
		gid, gidOK := parseNumber(fields[3])
		if !uidOK || !gidOK {
			return true
		}
		found = &User{Name: name, UID: uid, GID: gid, Home: fields[5], Shell: fields[6]}
		return false
	})
	if found == nil || name == "" {
		return nil, fmt.Errorf("%w: %q", ErrUnknown, name)
	}
	if !strings.HasPrefix(found.Home, "/") {
		found.Home = "/"
	}
	if found.Shell == "" {
		found.Shell = "/bin/sh"
	}
	return found, nil
}

func findGroups(group io.Reader, name string, primary uint32) []uint32 {
	seen := map[uint32]bool{primary: true}
	var gids []uint32
	eachLine(group, func(fields []string) bool {
		if len(fields) < 4 {
			return true
		}
		gid, ok := parseNumber(fields[2])
		if !ok || seen[gid] {
			return true
		}
		for member := range strings.SplitSeq(fields[3], ",") {
			if strings.TrimSpace(member) == name {
				seen[gid] = true
				gids = append(gids, gid)
				break
			}
		}
		return true
	})
	return gids
}

// eachLine calls visit with the fields of every line that is neither empty nor a comment, until visit returns false.
func eachLine(database io.Reader, visit func(fields []string) bool) {
	lines := bufio.NewScanner(database)
	lines.Buffer(make([]byte, 0, 4096), 1<<20)
	for lines.Scan() {
		line := strings.TrimSpace(lines.Text())
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		if !visit(strings.Split(line, ":")) {
			return
		}
	}
}

func parseNumber(text string) (uint32, bool) {
	number, err := strconv.ParseUint(strings.TrimSpace(text), 10, 32)
	return uint32(number), err == nil
}
