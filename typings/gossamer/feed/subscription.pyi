from node.feed.subscription import *
