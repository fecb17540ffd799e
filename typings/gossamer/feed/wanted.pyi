from node.feed.wanted import *
