"""The reviewer's screens. They know widgets, link and pictures, and ask the app through ScreenPort; never the app itself."""
