from node.feed.tray import *
