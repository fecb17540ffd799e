from node.feed.hub import *
