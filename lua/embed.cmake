# SPDX-License-Identifier: Apache-2.0
# cmake -DSOURCE_DIR=<lua/> -DOUTPUT=<scripts.cpp> -P embed.cmake
# Joins clock prelude, algorithms and driver to one script and writes it as C++ text with its SHA-1.
file(READ ${SOURCE_DIR}/clock_time.lua prelude)
file(READ ${SOURCE_DIR}/clock_proxy.lua proxy_prelude)
set(core "")
foreach(name token_bucket rare_algorithms_begin fixed_window calendar_window sliding_window_counter sliding_window_log
        concurrency rare_algorithms_end decide)   # the driver last; a new algorithm gets its name here
  file(READ ${SOURCE_DIR}/${name}.lua text)
  string(APPEND core "${text}")
endforeach()

# Comments and indentation cost nothing in Redis, which keeps the compiled form, but they travel with every SCRIPT
# LOAD; they stay, so that SCRIPT output and error line numbers match these files' text.
set(script "${prelude}${core}")
string(SHA1 SCRIPT_SHA1 "${script}")
string(LENGTH "${prelude}" PRELUDE_SIZE)
string(SHA1 PROXY_CLOCK_SHA1 "${proxy_prelude}${core}")

# One C++ literal per line of Lua. ';' separates CMake lists and '[' ']' group them, so lines are never made a list.
function(to_literals result text)
  string(REPLACE "\\" "\\\\" literals "${text}")
  string(REPLACE "\"" "\\\"" literals "${literals}")
  string(REGEX REPLACE "\n$" "" literals "${literals}")
  string(REPLACE "\n" "\\n\"\n    \"" literals "${literals}")
  set(${result} "    \"${literals}\\n\"" PARENT_SCOPE)
endfunction()
to_literals(SCRIPT_LITERALS "${script}")
to_literals(PROXY_PRELUDE_LITERALS "${proxy_prelude}")
file(READ ${SOURCE_DIR}/members.lua members)
to_literals(MEMBERS_LITERALS "${prelude}${members}")
to_literals(PROXY_MEMBERS_LITERALS "${proxy_prelude}${members}")
file(READ ${SOURCE_DIR}/since.lua since)
to_literals(SINCE_LITERALS "${since}")
configure_file(${SOURCE_DIR}/scripts.cpp.in ${OUTPUT} @ONLY)
