package replaced

import "testing"

func TestFindTellsUploadsToOnePathInTheirOrder(t *testing.T) {
	var recent Recent
	before := recent.Last()
	first := Upload{Path: "/w/up", Inode: 1}
	second := Upload{Path: "/w/up", Inode: 2, Existed: true}
	recent.Add(first)
	recent.Add(Upload{Path: "/w/other", Inode: 3})
	recent.Add(second)
	// The watcher looks late: the file is the second already, at both events.
	now := Upload{Path: "/w/up", Inode: 2}
	upload, seen, ours := recent.Find(now, before)
	if !ours || upload != first {
		t.Fatalf("got %v %v", upload, ours)
	}
	upload, seen, ours = recent.Find(now, seen)
	if !ours || upload != second || seen != recent.Last() {
		t.Fatalf("got %v %v", upload, ours)
	}
	if upload, _, ours := recent.Find(now, seen); !ours || upload != second {
		t.Fatalf("got %v %v", upload, ours)
	}
	if _, _, ours := recent.Find(Upload{Path: "/w/up", Inode: 9}, seen); ours {
		t.Fatal("a file of somebody else is no upload")
	}
}

func TestAddForgetsTheOldest(t *testing.T) {
	var recent Recent
	for inode := range uint64(remembered + 10) {
		recent.Add(Upload{Path: "/f", Inode: inode})
	}
	if last := recent.Last(); last != remembered+10 {
		t.Fatalf("got %d", last)
	}
	if _, number, ours := recent.Find(Upload{Path: "/f", Inode: remembered + 9}, recent.Last()-1); !ours || number != recent.Last() {
		t.Fatalf("got %d %v", number, ours)
	}
}
