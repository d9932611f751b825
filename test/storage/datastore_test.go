package storage

import (
	"bytes"
	"compress/gzip"
	"crypto/md5"
	"crypto/sha1"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// request is what a datastore script is told, in base64.
func (s *site) request(image, datastore string) string {
	return b64("<DS_DRIVER_ACTION_DATA><IMAGE>" + image + "</IMAGE><DATASTORE><BASE_PATH>" + s.path("var//datastores/1") +
		"</BASE_PATH><TEMPLATE>" + datastore + "</TEMPLATE></DATASTORE></DS_DRIVER_ACTION_DATA>")
}

// content is an image of some blocks, which compresses.
var content = []byte(strings.Repeat("all work and no play\n", 20000))

func compress(t *testing.T, program string, data []byte) []byte {
	t.Helper()
	need(t, program)
	cmd := exec.Command(program, "-c")
	cmd.Stdin = bytes.NewReader(data)
	out, err := cmd.Output()
	must(t, err)
	return out
}

func TestFsCp(t *testing.T) {
	need(t, "curl", "openssl", "xz", "bzip2", "gzip")
	s := newSite(t)
	variants := map[string][]byte{
		"plain": content, "gz": compress(t, "gzip", content), "bz2": compress(t, "bzip2", content), "xz": compress(t, "xz", content),
	}
	server := func(tls bool) string {
		mux := http.NewServeMux()
		for name, data := range variants {
			mux.HandleFunc("/"+name, func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write(data) })
		}
		mux.HandleFunc("/moved", func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, "/gz", http.StatusFound) })
		// A connection that breaks in the middle.
		mux.HandleFunc("/broken", func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", "1000000")
			_, _ = w.Write(content[:1000])
		})
		ts := httptest.NewUnstartedServer(mux)
		if tls {
			ts.StartTLS()
		} else {
			ts.Start()
		}
		t.Cleanup(ts.Close)
		return ts.URL
	}
	web, secure := server(false), server(true)
	for name, data := range variants {
		s.write(t, "in/"+name, string(data))
	}
	in := s.path("in")
	sum := func(name string) (string, string) {
		return fmt.Sprintf("<TEMPLATE><MD5>%X</MD5></TEMPLATE>", md5.Sum(variants[name])), fmt.Sprintf("<TEMPLATE><SHA1>%x</SHA1></TEMPLATE>", sha1.Sum(variants[name]))
	}
	md5gz, sha1gz := sum("gz")
	md5plain, sha1plain := sum("plain")

	accepted := []struct{ name, path, image, datastore, want string }{
		{"a file", in + "/plain", "", "", "plain"},
		{"a file URL", "file://" + in + "/plain", "", "", "plain"},
		{"gzip", in + "/gz", "", "", "plain"},
		{"bzip2", in + "/bz2", "", "", "plain"},
		{"xz", in + "/xz", "", "", "plain"},
		{"not unpacked", in + "/gz", "", "<NO_DECOMPRESS>yes</NO_DECOMPRESS>", "gz"},
		{"MD5 of what comes in", in + "/gz", md5gz, "", "plain"},
		{"SHA1 of what comes in", in + "/gz", sha1gz, "", "plain"},
		{"both", in + "/plain", strings.Replace(md5plain, "</TEMPLATE>", "", 1) + strings.Replace(sha1plain, "<TEMPLATE>", "", 1), "", "plain"},
		{"http", web + "/plain", md5plain, "", "plain"},
		{"http, gzip", web + "/gz", sha1gz, "", "plain"},
		{"https", secure + "/xz", "", "", "plain"},
		{"redirected", web + "/moved", "", "", "plain"},
		{"slowly", web + "/plain", "", "<LIMIT_TRANSFER_BW>1G</LIMIT_TRANSFER_BW>", "plain"},
		{"a safe directory in a restricted one", in + "/plain", "", "<RESTRICTED_DIRS>" + s.dir + "/</RESTRICTED_DIRS><SAFE_DIRS>" + in + "/</SAFE_DIRS>", "plain"},
	}
	for i, tt := range accepted {
		t.Run(tt.name, func(t *testing.T) {
			got := s.succeed(t, "datastore/fs/cp", s.request("<PATH>"+tt.path+"</PATH>"+tt.image, tt.datastore), fmt.Sprint(i))
			if !regexp.MustCompile(`^` + regexp.QuoteMeta(s.path("var")) + `/+datastores/1/[0-9a-f]{32}$`).MatchString(got) {
				t.Fatalf("the image is at %q", got)
			}
			data, err := os.ReadFile(got)
			must(t, err)
			if !bytes.Equal(data, variants[tt.want]) {
				t.Errorf("%d bytes, not those of %s", len(data), tt.want)
			}
			must(t, os.Remove(got))
		})
	}
	s.write(t, "in/cut.gz", string(variants["gz"][:len(variants["gz"])/2]))
	must(t, os.Symlink(s.path("home"), s.path("in/home")))
	s.write(t, "home/secret", "secret")
	refused := []struct{ name, path, image, datastore, message string }{
		{"missing", in + "/none", "", "", "^Error copying " + in + "/none to .*No such file"},
		{"a directory", in, "", "", "^Error copying .*is a directory"},
		{"wrong MD5", in + "/plain", "<TEMPLATE><MD5>0123</MD5></TEMPLATE>", "", "Hash does not match"},
		{"wrong SHA1", web + "/plain", "<TEMPLATE><SHA1>0123</SHA1></TEMPLATE>", "", "^Error downloading .*Hash does not match"},
		{"half an archive", in + "/cut.gz", "", "", "^Error copying .*unexpected end of file"},
		{"not found", web + "/none", "", "", "^Error downloading .*404"},
		{"nobody listens", "http://127.0.0.1:1/x", "", "", "^Error downloading .*(refused|connect)"},
		{"broken off", web + "/broken", "", "", "^Error downloading .*(transfer closed|curl)"},
		{"of the front-end", s.path("var/datastores/x"), "", "", "^Not allowed to copy image file "},
		{"behind a link", s.path("in/home/secret"), "", "", "^Not allowed to copy image file "},
		{"behind dots", s.path("in/../home/secret"), "", "", "^Not allowed to copy image file "},
		{"of a restricted directory", in + "/plain", "", "<RESTRICTED_DIRS>/nowhere " + s.dir + "</RESTRICTED_DIRS>", "^Not allowed to copy image file "},
	}
	for _, tt := range refused {
		t.Run(tt.name, func(t *testing.T) {
			s.fail(t, tt.message, "datastore/fs/cp", s.request("<PATH>"+tt.path+"</PATH>"+tt.image, tt.datastore), "1")
			s.want(t, files{"var/datastores/0": "directory", "var/datastores/1": "directory", "h1/0": "directory", "h2/0": "directory"})
		})
	}
}

// An archive becomes a directory; rm takes that, and nothing else.
func TestFsArchive(t *testing.T) {
	need(t, "tar")
	s := newSite(t)
	s.write(t, "in/vm/disk.vmdk", "disk\n")
	must(t, os.Symlink("/etc/passwd", s.path("in/vm/link")))
	command(t, "tar", "-C", s.path("in/vm"), "-czf", s.path("in/vm.tar.gz"), ".")
	got := s.succeed(t, "datastore/fs/cp", s.request("<PATH>"+s.path("in/vm.tar.gz")+"</PATH>", ""), "1")
	name := filepath.Join("var/datastores/1", filepath.Base(got))
	empty := files{"var/datastores/0": "directory", "h1/0": "directory", "h2/0": "directory"}
	s.want(t, files{"var/datastores/0": "directory", "h1/0": "directory", "h2/0": "directory", name + "/disk.vmdk": "disk\n"})
	s.fail(t, "Bad formed or unavailable Image source", "datastore/fs/rm", s.request("<SOURCE>"+s.path("in/vm")+"</SOURCE>", ""), "1")
	s.succeed(t, "datastore/fs/rm", s.request("<SOURCE>"+got+"</SOURCE>", ""), "1")
	empty["var/datastores/1"] = "directory"
	s.want(t, empty)
}

func TestFsCloneAndRm(t *testing.T) {
	s := newSite(t)
	s.write(t, "var/datastores/1/img", "image\n")
	got := s.succeed(t, "datastore/fs/clone", s.request("<PATH>"+s.path("var/datastores/1/img")+"</PATH>", ""), "2")
	rest := files{"var/datastores/0": "directory", "h1/0": "directory", "h2/0": "directory", "var/datastores/1/img": "image\n"}
	clone := filepath.Join("var/datastores/1", filepath.Base(got))
	rest[clone] = "image\n"
	s.want(t, rest)
	s.fail(t, "^Error copying .*No such file", "datastore/fs/clone", s.request("<PATH>"+s.path("var/datastores/1/none")+"</PATH>", ""), "2")
	s.succeed(t, "datastore/fs/rm", s.request("<SOURCE>"+got+"</SOURCE>", ""), "2")
	delete(rest, clone)
	s.want(t, rest)
	for _, source := range []string{got, s.path("var/datastores/1/../1/none"), s.path("var/datastores/1"), "", s.path("in/x")} {
		s.fail(t, "^Bad formed or unavailable Image source: ", "datastore/fs/rm", s.request("<SOURCE>"+source+"</SOURCE>", ""), "2")
	}
	s.want(t, rest)
}

// fileSystems are the values of FSTYPE with a tool for each, the size in MB that it
// needs at least, and what blkid finds.
var fileSystems = []struct {
	name, tool string
	size       int
	kind       string
}{
	{"", "mkfs.ext3", 2, "ext3\n 2097153 bytes"},
	{"ext2", "mkfs.ext2", 2, "ext2\n 2097153 bytes"},
	{"ext3", "mkfs.ext3", 2, "ext3\n 2097153 bytes"},
	{"ext4", "mkfs.ext4", 2, "ext4\n 2097153 bytes"},
	{"ntfs", "mkfs.ntfs", 2, "ntfs\n 2097153 bytes"},
	{"vfat", "mkfs.vfat", 2, "vfat\n 2097153 bytes"},
	{"jfs", "mkfs.jfs", 17, "jfs\n 17825793 bytes"},
	{"reiserfs", "mkfs.reiserfs", 40, "reiserfs\n 41943041 bytes"},
	{"btrfs", "mkfs.btrfs", 120, "btrfs\n 125829121 bytes"},
	{"xfs", "mkfs.xfs", 320, "xfs\n 335544321 bytes"},
	{"swap", "mkswap", 1, "swap\n 1048577 bytes"},
	{"raw", "dd", 3, "3145729 bytes"},
	{"qcow2", "qemu-img", 3, "qcow2 of 3145728"},
}

func TestFsMkfs(t *testing.T) {
	need(t, "blkid")
	for _, tt := range fileSystems {
		t.Run("FSTYPE "+tt.name, func(t *testing.T) {
			need(t, tt.tool)
			s := newSite(t)
			got := s.succeed(t, "datastore/fs/mkfs", s.request(fmt.Sprintf("<FSTYPE>%s</FSTYPE><SIZE>%d</SIZE>", tt.name, tt.size), ""), "3")
			if kind := s.describe(t, got, lstat(t, got)); kind != tt.kind {
				t.Errorf("the image is %q, not %q", kind, tt.kind)
			}
		})
	}
	s := newSite(t)
	nothing := files{"var/datastores/0": "directory", "var/datastores/1": "directory", "h1/0": "directory", "h2/0": "directory"}
	if got := s.succeed(t, "datastore/fs/mkfs", s.request("<FSTYPE>save_as</FSTYPE><SIZE>1</SIZE>", ""), "3"); filepath.Dir(filepath.Clean(got)) != s.path("var/datastores/1") {
		t.Errorf("save_as prints %q", got)
	}
	s.want(t, nothing)
	s.fail(t, "^Unable to create filesystem nonesuch in .*mkfs.nonesuch", "datastore/fs/mkfs", s.request("<FSTYPE>nonesuch</FSTYPE><SIZE>1</SIZE>", ""), "3")
	s.fail(t, "^Unable to create filesystem ", "datastore/fs/mkfs", s.request("<FSTYPE>ext3 -j</FSTYPE><SIZE>1</SIZE>", ""), "3")
	s.fail(t, "^Not a size in MB: ", "datastore/fs/mkfs", s.request("<FSTYPE>ext3</FSTYPE><SIZE>1G</SIZE>", ""), "3")
	s.want(t, nothing)
}

func TestFsStat(t *testing.T) {
	need(t, "curl", "xz", "qemu-img")
	s := newSite(t)
	const mb = 1 << 20
	data := bytes.Repeat([]byte{'x'}, 3*mb+1)
	plain := s.write(t, "in/plain", string(data))
	packed := s.write(t, "in/gz", string(compress(t, "gzip", data)))
	tight := s.write(t, "in/xz", string(compress(t, "xz", data)))
	empty := s.write(t, "in/empty", "")
	s.write(t, "in/dir/part", string(data))
	qcow := s.path("in/qcow2")
	command(t, "qemu-img", "create", "-q", "-f", "qcow2", qcow, "7M")
	var zipped bytes.Buffer
	w := gzip.NewWriter(&zipped)
	_, _ = w.Write(data)
	must(t, w.Close())
	ts := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/market":
			w.Header().Set("OpenNebula-AppMarket-Size", "10485761")
			w.Header().Set("Content-Length", "1")
		case "/plain":
			w.Header().Set("Content-Length", fmt.Sprint(2*mb))
		default:
			http.NotFound(w, r)
		}
	}))
	t.Cleanup(ts.Close)
	for path, want := range map[string]string{
		plain: "4", "file://" + plain: "4", packed: "4", tight: "4", qcow: "7", s.path("in/dir"): "4", ts.URL + "/plain": "2", ts.URL + "/market": "11",
	} {
		for _, driver := range []string{"fs", "lvm"} {
			if got := s.succeed(t, "datastore/"+driver+"/stat", s.request("<PATH>"+path+"</PATH>", ""), "4"); got != want {
				t.Errorf("%s of %s: %q, not %s", driver, path, got, want)
			}
		}
	}
	for path, message := range map[string]string{
		empty: "^Cannot determine size for .*empty", s.path("in/none"): "^Cannot determine size for .*No such file",
	} {
		s.fail(t, message, "datastore/fs/stat", s.request("<PATH>"+path+"</PATH>", ""), "4")
	}
}

func TestFsMonitor(t *testing.T) {
	s := newSite(t)
	got := s.succeed(t, "datastore/fs/monitor", s.request("", ""), "1")
	if !regexp.MustCompile(`^USED_MB=[0-9]+\nTOTAL_MB=[1-9][0-9]*\nFREE_MB=[1-9][0-9]*$`).MatchString(got) {
		t.Errorf("monitor prints %q", got)
	}
}
