# SPDX-License-Identifier: Apache-2.0
# cmake -DSOURCE_DIR=<lua/> -DOUTPUT=<scripts.cpp> -P embed.cmake
# Joins clock prelude, algorithms and driver to one script, and to a second one for packs, and writes them as C++ text
# with their SHA-1.
function(join result)
  set(joined "")
  foreach(name ${ARGN})
    file(READ ${SOURCE_DIR}/${name}.lua text)
    string(APPEND joined "${text}")
  endforeach()
  set(${result} "${joined}" PARENT_SCOPE)
endfunction()
set(algorithms token_bucket rare_algorithms_begin fixed_window calendar_window sliding_window_counter
               sliding_window_log concurrency penalty rare_algorithms_end) # a new algorithm gets its name here
join(prelude clock_time)
join(proxy_prelude clock_proxy)
join(core ${algorithms} decide)
join(pack_core ${algorithms} pack_begin decide pack)

# Comments and indentation cost nothing in Redis, which keeps the compiled form, but they travel with every SCRIPT
# LOAD; they stay, so that SCRIPT output and error line numbers match these files' text.
set(script "${prelude}${core}")
string(SHA1 SCRIPT_SHA1 "${script}")
set(pack "${prelude}${pack_core}")
string(SHA1 PACK_SHA1 "${pack}")
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
to_literals(PACK_LITERALS "${pack}")
file(READ ${SOURCE_DIR}/members.lua members)
to_literals(MEMBERS_LITERALS "${prelude}${members}")
to_literals(PROXY_MEMBERS_LITERALS "${proxy_prelude}${members}")
file(READ ${SOURCE_DIR}/since.lua since)
to_literals(SINCE_LITERALS "${since}")
configure_file(${SOURCE_DIR}/scripts.cpp.in ${OUTPUT} @ONLY)
