from node.feed.change import *
