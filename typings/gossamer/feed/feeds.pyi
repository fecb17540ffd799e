from node.feed.feeds import *
