from node.feed.watch import *
