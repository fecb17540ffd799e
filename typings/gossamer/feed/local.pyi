from node.feed.local import *
