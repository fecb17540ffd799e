from node.feed.stream import *
