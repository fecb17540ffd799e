from node.feed.cursor import *
