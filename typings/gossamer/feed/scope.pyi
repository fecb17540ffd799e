from node.feed.scope import *
