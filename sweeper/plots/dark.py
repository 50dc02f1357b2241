"""A drawn figure in the colours of a dark page."""

from typing import Any

import numpy as np
from matplotlib.artist import Artist
from matplotlib.collections import Collection
from matplotlib.colors import LinearSegmentedColormap, to_rgb, to_rgba_array
from matplotlib.figure import Figure
from matplotlib.image import AxesImage
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.text import Text

# What white and black become. A little apart from the extremes, which glare.
BACKGROUND = "#15181c"
FOREGROUND = "#e8e8e8"
# As faint on the dark page, at the same opacity, as the grid on a white one.
GRID = "#909090"
# Colours whose channels differ by no more than this are greys: greys are turned over, colours stay as they are.
MOST_TINT = 0.02
# A scale that begins in white begins in the dark page's colour instead, and ends as light as it was dark.
SCALES = {
    "Blues": LinearSegmentedColormap.from_list("dark blues", [BACKGROUND, "#17466e", "#3b86bf", "#a6d0f2"]),
}


def darken(figure: Figure) -> Figure:
    """Turns the greys of the figure over, from black on white to light on dark; changes and returns the figure.

    The palette's colours are legible on both. Images stay as they are, except those on a scale of SCALES.
    """
    for artist in figure.findobj():
        _recolour(artist)
    for axes in figure.axes:
        # Ticks are made when the figure is drawn, in the colours that their axis has for them.
        axes.tick_params(which="both", colors=FOREGROUND, grid_color=GRID)
    return figure


def _recolour(artist: Artist) -> None:
    match artist:
        case Text():
            artist.set_color(_turned(artist.get_color()))
        case Line2D():
            # The marker's colours first: they may follow that of the line.
            artist.set_markerfacecolor(_turned(artist.get_markerfacecolor()))
            artist.set_markeredgecolor(_turned(artist.get_markeredgecolor()))
            artist.set_color(_turned(artist.get_color()))
        case Patch():
            face, edge = artist.get_facecolor(), artist.get_edgecolor()
            artist.set_facecolor(_turned(face))
            artist.set_edgecolor(_turned(edge))
        case AxesImage() if (name := artist.get_cmap().name) in SCALES:
            artist.set_cmap(SCALES[name])
        case Collection() if artist.get_array() is None:
            artist.set_facecolor(_turned_all(artist.get_facecolor()))
            artist.set_edgecolor(_turned_all(artist.get_edgecolor()))


def _turned(colour: Any) -> Any:
    """A grey between black and white as one between the foreground and the background; another colour as it is."""
    if isinstance(colour, str) and colour.lower() == "none":
        return colour
    return tuple(_turned_all(colour)[0].tolist())


def _turned_all(colours: Any) -> Any:
    rgba = np.array(to_rgba_array(colours))
    light, dark = (np.array(to_rgb(colour)) for colour in (FOREGROUND, BACKGROUND))
    grey = np.ptp(rgba[:, :3], axis=1) <= MOST_TINT
    lightness = rgba[:, :3].mean(axis=1, keepdims=True)
    rgba[:, :3] = np.where(grey[:, None], light + lightness * (dark - light), rgba[:, :3])
    return rgba
