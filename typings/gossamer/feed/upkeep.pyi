from node.feed.upkeep import *
